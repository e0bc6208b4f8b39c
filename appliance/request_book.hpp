// What the appliance knows of every request, made from the audit log's lines and from nothing else: a line is applied the
// same way when it is written and when it is replayed after a restart.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/transparency/audit_log_line.hpp"

namespace appliance {

enum class RequestState : std::uint8_t {
  received,      // in the spool, not inspected
  waiting,       // inspected; the officers may look at it
  in_approval,   // officers are entering their PINs
  signing,
  rejected,      // an officer said no; the response is being made
  withdrawn,     // an administrator took it back; the same
  expired,       // it waited as long as its profile allows; the same
  answered,      // signed, refused or rejected; the response is, or is about to be, in the outbox
  delivered,     // whoever asked has the response
  removed,       // and it is not kept any more
};
std::string_view request_state_name(RequestState state);

struct RecordedApproval {
  std::string officer;
  base::Time at{};
};

struct RecordedRejection {
  std::string officer;
  std::string reason;
  base::Time at{};
};

struct RequestRecord {
  std::string id;
  RequestState state = RequestState::received;
  std::string submitter;
  std::string keyid;               // of the key that signed the request
  std::string profile;
  std::uint64_t bytes = 0;         // of its files
  base::Time received_at{};
  std::string inspection_digest;   // hex
  std::string signing_set;         // the fingerprint that was found at inspection, hex
  std::uint64_t signatures = 0;    // how many it asks for, as found at inspection
  std::optional<base::Time> signed_at;
  std::vector<RecordedApproval> approvals;   // of the sitting that is going on, or that led to the signature
  std::shared_ptr<const RecordedRejection> rejection;           // by pointer: most records are of requests long answered
  std::shared_ptr<const transparency::AuditLine> decision;   // that it was signed, refused or rejected
  std::string receipt_digest;      // hex, once answered; of an answered request only this, id, state, profile and times are kept
  base::Time delivered_at{};
};

class RequestBook {
 public:
  // Whether that event may be the request's next; Errc::mismatch, saying why not.
  base::Result<void> expect_can_follow(transparency::AuditEvent event, std::string_view id) const;
  // Lines arrive in order and were checked by AuditChain. Errc::mismatch when a line cannot follow what was before.
  base::Result<void> apply(const transparency::AuditLine& line);
  const RequestRecord* find(std::string_view id) const;
  std::vector<const RequestRecord*> in_state(RequestState state) const;   // oldest first
  std::size_t unanswered() const;
  std::uint64_t unanswered_bytes() const;   // of their files: what they take of the spool
  // Made under that profile after that time, which is at most two days before the last line's.
  std::uint64_t signatures_since(std::string_view profile, base::Time since) const;

 private:
  using Records = std::map<std::string, RequestRecord, std::less<>>;
  RequestRecord* find_any(std::string_view id);
  void forget_details(RequestRecord& record);
  void know_no_time_after(base::Time now);
  // What is asked again and again is asked of the open ones: the answered ones are all there ever were.
  Records open_;
  Records answered_;
  struct Signed {
    std::string profile;
    base::Time at{};
    std::uint64_t signatures = 0;
  };
  std::deque<Signed> signed_;   // of the last two days
};

}  // namespace appliance
