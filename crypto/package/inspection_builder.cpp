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
  const bool is_first = seen_.emplace(id).second;
  if (inspection_.findings.size() + 2 >= limits::kFindings && !make_room_for(severity, is_first)) {   // two are kept for finish()
    ++findings_left_out_;
    worst_left_out_ = std::max(worst_left_out_, severity);
    return;
  }
  inspection_.findings.push_back({std::string(id), severity, cut(file), line, cut(cause), cut(remedy)});
  is_repeat_.push_back(!is_first);
  if (!is_first) ++repeats_[static_cast<std::size_t>(severity)];
}

// The last of the mildest repeats goes, for one that is worse or the first of its id. Not so when all that is kept are firsts: there are far
// fewer ids than findings fit.
bool InspectionBuilder::make_room_for(Severity severity, bool is_first) {
  std::size_t mildest = 0;
  while (mildest < repeats_.size() && repeats_[mildest] == 0) ++mildest;
  if (mildest == repeats_.size() || (!is_first && mildest >= static_cast<std::size_t>(severity))) return false;
  for (std::size_t at = is_repeat_.size(); at-- > 0;) {
    if (!is_repeat_[at] || static_cast<std::size_t>(inspection_.findings[at].severity) != mildest) continue;
    inspection_.findings.erase(inspection_.findings.begin() + static_cast<std::ptrdiff_t>(at));
    is_repeat_.erase(is_repeat_.begin() + static_cast<std::ptrdiff_t>(at));
    break;
  }
  --repeats_[mildest];
  ++findings_left_out_;
  worst_left_out_ = std::max(worst_left_out_, static_cast<Severity>(mildest));
  return true;
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
