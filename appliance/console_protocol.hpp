// What coldseald and coldseal-console say to each other over the local socket: frames of a 32-bit little-endian
// length and a message of one kind byte and counted fields. The daemon words everything; the console shows it and
// asks. A PIN travels in a frame that both sides keep in SecretBytes only.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"

namespace appliance {

// Console to daemon.
struct AskList {};
struct AskRequest {   // the whole of a request, to be read
  std::string id;
};
struct BeginApproval {   // starts the sitting: the daemon answers with Approval or Refusal
  std::string id;
};
struct EnterPin {
  std::string officer;
  base::SecretBytes pin;
};
struct RejectRequest {
  std::string id;
  std::string officer;
  base::SecretBytes pin;
  std::string reason;
};
struct CancelApproval {};
struct BeginRemedy {   // administrators put something right: the answer is Approval or Refusal, and EnterPin goes on
  std::string person;   // who is blocked; empty: the TPM's own lockout
};
struct LookAtTpm {};   // opened anew; the answer is a Document: what it says, and what to do about it
using ConsoleQuestion = std::variant<AskList, AskRequest, BeginApproval, EnterPin, RejectRequest, CancelApproval, LookAtTpm, BeginRemedy>;

// Daemon to console.
struct Section {
  std::string heading;
  std::vector<std::string> lines;
};
struct Document {   // to be shown as it stands
  std::vector<Section> sections;
};
struct WaitingRequest {
  std::string id;
  std::string summary;   // one line
  std::string words;     // of the id: what coldseal request create showed the submitter
};
struct WaitingList {
  std::string banner;   // appliance, mode, what it is not
  std::vector<WaitingRequest> requests;
};
struct Approval {   // the sitting goes on: who has approved, how many are still needed
  std::vector<std::string> approved;
  std::uint32_t needed = 0;
  std::vector<std::string> officers;   // who may still approve
  std::uint32_t seconds_left = 0;
  std::uint32_t signing_seconds = 0;    // what the TPM will take once the last one has approved
  std::string words;                    // two that only this box can show, before a PIN is typed
  std::vector<std::string> commands;    // of administrators: what they approve, to be shown; empty for a request
};
struct Progress {
  std::uint32_t done = 0;
  std::uint32_t total = 0;
  std::string what;
};
struct Done {
  std::string text;
};
struct Refusal {   // why not, and what to do next
  std::string text;
  bool sitting_is_over = true;   // no approval is going on at this console (any more)
};
using ConsoleAnswer = std::variant<WaitingList, Document, Approval, Progress, Done, Refusal>;

inline constexpr std::size_t kFrameHeaderBytes = 4;
inline constexpr std::size_t kQuestionBytes = 4096;   // a question is never longer

// Messages with their frame header.
base::SecretBytes encode(const ConsoleQuestion& question);
base::Bytes encode(const ConsoleAnswer& answer);
// The payload of one frame. Errc::malformed, Errc::too_large.
base::Result<ConsoleQuestion> decode_question(base::ByteView payload);
base::Result<ConsoleAnswer> decode_answer(base::ByteView payload);
// The payload's size from a frame header; Errc::too_large over limit.
base::Result<std::size_t> payload_size(base::ByteView header, std::size_t limit);

}  // namespace appliance
