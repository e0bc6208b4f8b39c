#include "tests/support/long_log.hpp"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <string>

#include "crypto/digest.hpp"
#include "crypto/transparency/audit_log_line.hpp"

namespace tests {

using transparency::AuditEvent;

std::uint64_t write_long_log(const std::filesystem::path& file, std::uint64_t requests, std::uint64_t bytes, std::uint64_t open) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  std::uint64_t written = 0;
  std::uint64_t index = 0;
  std::uint64_t anchored = 0;
  std::uint64_t seconds = 0;
  std::string previous(64, '0');
  const base::Time begin = *base::time_from_rfc3339("2026-01-01T00:00:00Z");
  const auto digest_of = [](std::uint64_t request, std::string_view what) { return crypto::sha256(base::as_bytes(fmt::format("{} {}", what, request))).hex(); };
  const auto add = [&](AuditEvent event, const std::string& id, std::map<std::string, std::string> data) {
    data["anchor"] = transparency::is_anchored(event) ? std::to_string(++anchored) : "provisional";
    std::string fields;
    for (const auto& [name, value] : data) fields += fmt::format("{}\"{}\":\"{}\"", fields.empty() ? "" : ",", name, value);
    const std::string line = fmt::format(R"({{"at":"{}","data":{{{}}},"event":"{}","index":{},"previous":"{}","request":"{}"}})",
                                         base::rfc3339(begin + std::chrono::seconds(++seconds)), fields, transparency::audit_event_name(event), index++, previous, id);
    previous = crypto::sha256(base::as_bytes(line)).hex();
    out << line << '\n';
    written += line.size() + 1;
  };
  add(AuditEvent::started, "", {{"version", "0.1.0"}, {"configuration", digest_of(0, "configuration")}});
  std::uint64_t request = 0;
  for (; request < requests && written < bytes; ++request) {
    const std::string id = digest_of(request, "request");
    const std::string set = digest_of(request, "set");
    add(AuditEvent::received, id, {{"submitter", "build-1"}, {"keyid", digest_of(0, "key")}, {"profile", "release"}, {"files", "3"}});
    add(AuditEvent::inspected, id, {{"inspection", digest_of(request, "inspection")}, {"signing-set", set}, {"signatures", "3"}});
    if (request + open >= requests) continue;
    add(AuditEvent::review_opened, id, {});
    add(AuditEvent::approval_started, id, {{"signing-set", set}});
    add(AuditEvent::approved_by, id, {{"officer", "ada"}, {"method", "PIN"}});
    add(AuditEvent::approved_by, id, {{"officer", "ben"}, {"method", "PIN"}});
    add(AuditEvent::signing, id, {{"signing-set", set}});
    add(AuditEvent::signed_, id, {{"signing-set", set}, {"outputs", digest_of(request, "outputs")}});
    add(AuditEvent::delivered_to_outbox, id, {{"outcome", "done"}, {"receipt", digest_of(request, "receipt")}});
  }
  return request;
}

}  // namespace tests
