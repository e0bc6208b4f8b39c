#include "crypto/package/inspection_builder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace package {

namespace limits = base::limits;

namespace {

std::string cut(std::string_view text) {
  constexpr std::string_view kMark = "...";
  if (text.size() <= limits::kFactTextBytes) return std::string(text);
  std::size_t end = limits::kFactTextBytes - kMark.size();
  while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xC0) == 0x80) --end;   // not inside a UTF-8 character
  return std::string(text.substr(0, end)) + std::string(kMark);
}

}  // namespace

void InspectionBuilder::fact(std::string_view file, std::string_view name, std::string_view value) {
  if (inspection_.facts.size() == limits::kFacts) {
    ++facts_left_out_;
    return;
  }
  inspection_.facts.push_back({cut(file), cut(name), cut(value)});
}

void InspectionBuilder::finding(std::string_view id, Severity severity, std::string_view file, std::uint32_t line, std::string cause,
                                std::string remedy) {
  if (inspection_.findings.size() + 2 >= limits::kFindings) {   // two are kept for finish()
    ++findings_left_out_;
    worst_left_out_ = std::max(worst_left_out_, severity);
    return;
  }
  inspection_.findings.push_back({std::string(id), severity, cut(file), line, cut(cause), cut(remedy)});
}

Inspection InspectionBuilder::finish() && {
  const auto add = [&](std::string_view id, Severity severity, std::string cause, std::string remedy) {
    inspection_.findings.push_back({std::string(id), severity, {}, 0, std::move(cause), std::move(remedy)});
  };
  if (facts_left_out_ > 0)
    add("inspection.facts-left-out", Severity::note, fmt::format("{} more facts than can be shown", facts_left_out_),
        "read the INF files themselves for devices and hardware ids beyond these");
  if (findings_left_out_ > 0)
    add("inspection.findings-left-out", worst_left_out_, fmt::format("{} more findings than can be shown", findings_left_out_),
        "resolve the ones shown and inspect again");
  return std::move(inspection_);
}

}  // namespace package
