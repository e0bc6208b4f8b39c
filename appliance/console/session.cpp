#include "appliance/console/session.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;

namespace {

Result<void> send_all(int socket, base::ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail(Errc::unavailable, "coldseald has ended the conversation");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> receive_all(int socket, std::span<std::uint8_t> into) {
  while (!into.empty()) {
    const ssize_t count = recv(socket, into.data(), into.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail(Errc::unavailable, "coldseald has ended the conversation");
    into = into.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + printable(name);
  return text;
}

}  // namespace

ConsoleSession::ConsoleSession(ConsoleSession&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), terminal_(other.terminal_) {}

ConsoleSession& ConsoleSession::operator=(ConsoleSession&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(terminal_, other.terminal_);
  return *this;
}

ConsoleSession::~ConsoleSession() {
  if (socket_ >= 0) ::close(socket_);
}

Result<ConsoleSession> ConsoleSession::connect(const std::string& path, Terminal& terminal) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(Errc::usage, fmt::format("{}: too long for a socket", path));
  std::copy(path.begin(), path.end(), std::begin(address.sun_path));
  ConsoleSession session(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), terminal);
  const auto* const generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  if (session.socket_ < 0 || ::connect(session.socket_, generic, sizeof address) != 0)
    return fail(Errc::unavailable, fmt::format("{}: {}; is coldseald running?", path, std::strerror(errno)));
  return session;
}

Result<ConsoleAnswer> ConsoleSession::receive() {
  std::array<std::uint8_t, kFrameHeaderBytes> header{};
  TRY(receive_all(socket_, header));
  const std::size_t size = TRY(payload_size(header, base::limits::kConsoleMessageBytes));
  base::Bytes payload(size);
  TRY(receive_all(socket_, payload));
  return decode_answer(payload);
}

Result<ConsoleAnswer> ConsoleSession::answer_to(const ConsoleQuestion& question) {
  const base::SecretBytes frame = encode(question);
  TRY(send_all(socket_, frame.reveal()));
  for (;;) {
    ConsoleAnswer answer = TRY(receive());
    const auto* const progress = std::get_if<Progress>(&answer);
    if (progress == nullptr) return answer;
    terminal_->show(fmt::format("{} {} of {}", printable(progress->what), progress->done, progress->total));
  }
}

bool ConsoleSession::show_refusal(const ConsoleAnswer& answer) {
  const auto* const refusal = std::get_if<Refusal>(&answer);
  if (refusal != nullptr) terminal_->show("not done: " + printable(refusal->text));
  return refusal != nullptr;
}

Result<std::vector<WaitingRequest>> ConsoleSession::show_waiting() {
  const ConsoleAnswer answer = TRY(answer_to(AskList{}));
  const auto* const list = std::get_if<WaitingList>(&answer);
  if (list == nullptr) return fail(Errc::malformed, "coldseald answered something else than the list");
  terminal_->show("");
  terminal_->show(printable(list->banner));
  if (list->requests.empty()) terminal_->show("no request is waiting");
  for (std::size_t i = 0; i < list->requests.size(); ++i) {
    terminal_->show(fmt::format("{:>3}  {}", i + 1, printable(list->requests[i].summary)));
    terminal_->show(fmt::format("     {}", printable(list->requests[i].words)));
  }
  return list->requests;
}

void ConsoleSession::show_document(const Document& document) {
  for (const Section& section : document.sections) {
    terminal_->show("");
    terminal_->show("== " + printable(section.heading));
    for (const std::string& line : section.lines) terminal_->show("   " + printable(line));
  }
}

Result<void> ConsoleSession::run() {
  std::vector<WaitingRequest> waiting = TRY(show_waiting());
  for (;;) {
    const std::string typed = TRY(terminal_->ask("number to read a request, Enter to look again, t to look at the TPM, u to unlock somebody, l to end a lockout of the TPM, q to leave: "));
    if (typed == "q") return {};
    if (typed.empty()) {
      waiting = TRY(show_waiting());
      continue;
    }
    if (typed == "t") {
      const ConsoleAnswer answer = TRY(answer_to(LookAtTpm{}));
      if (const auto* const report = std::get_if<Document>(&answer)) show_document(*report);
      show_refusal(answer);
      continue;
    }
    if (typed == "u" || typed == "l") {
      TRY(put_right(typed == "u"));
      continue;
    }
    std::size_t number = 0;
    const char* const last = std::to_address(typed.end());
    const auto [end, error] = std::from_chars(typed.data(), last, number);
    if (error != std::errc{} || end != last || number < 1 || number > waiting.size()) {
      terminal_->show(fmt::format("there is no request \"{}\" in the list", printable(typed)));
      continue;
    }
    TRY(read_request(waiting[number - 1]));
    waiting = TRY(show_waiting());
  }
}

Result<void> ConsoleSession::read_request(const WaitingRequest& request) {
  const ConsoleAnswer answer = TRY(answer_to(AskRequest{request.id}));
  if (show_refusal(answer)) {   // what cannot be shown cannot be approved, but it can be sent back
    const std::string typed = TRY(terminal_->ask("r to reject it, Enter to go back: "));
    if (typed == "r") TRY(reject(request));
    return {};
  }
  const auto* const document = std::get_if<Document>(&answer);
  if (document == nullptr) return fail(Errc::malformed, "coldseald answered something else than the request");
  show_document(*document);
  terminal_->show("");
  for (;;) {
    const std::string typed = TRY(terminal_->ask("a to approve, r to reject, b to go back: "));
    if (typed == "a") return approve(request);
    if (typed == "r") {
      TRY(reject(request));
      return {};
    }
    if (typed == "b") return {};
  }
}

Result<void> ConsoleSession::approve(const WaitingRequest& request) {
  terminal_->show("compare these words with the submitter's:");
  terminal_->show("   " + printable(request.words));
  const std::string agreed = TRY(terminal_->ask("type yes when you have read the request, the words agree and the time above it is right: "));
  if (agreed != "yes") {
    terminal_->show("nothing was approved");
    return {};
  }
  ConsoleAnswer answer = TRY(answer_to(BeginApproval{request.id}));
  if (show_refusal(answer)) return {};
  auto* const approval = std::get_if<Approval>(&answer);
  if (approval == nullptr) return fail(Errc::malformed, "coldseald answered something else than the approval");
  return enter_pins(&request, std::move(*approval));
}

// What administrators approve at this screen.
Result<void> ConsoleSession::put_right(bool unlock) {
  std::string person;
  if (unlock) {
    person = TRY(terminal_->ask("who is blocked (Enter to go back): "));
    if (person.empty()) return {};
    if (person.size() > base::limits::kNameBytes) {
      terminal_->show("that is nobody's name");
      return {};
    }
  }
  ConsoleAnswer answer = TRY(answer_to(BeginRemedy{std::move(person)}));
  if (show_refusal(answer)) return {};
  auto* const approval = std::get_if<Approval>(&answer);
  if (approval == nullptr) return fail(Errc::malformed, "coldseald answered something else than what the administrators approve");
  for (const std::string& line : approval->commands) terminal_->show(printable(line));
  return enter_pins(nullptr, std::move(*approval));
}

Result<void> ConsoleSession::enter_pins(const WaitingRequest* request, Approval approval) {
  if (request != nullptr) terminal_->show(fmt::format("signing will take about {} s after the last PIN", approval.signing_seconds));
  for (;;) {
    // Whoever took the box away and put another one here cannot show them.
    terminal_->show(fmt::format("this box says: {}   (other words: type no PIN, call an administrator)", printable(approval.words)));
    terminal_->show(fmt::format("{} more of: {}   ({}:{:02} left)", approval.needed, joined(approval.officers),
                                approval.seconds_left / 60, approval.seconds_left % 60));
    const std::string officer =
        TRY(terminal_->ask(request != nullptr ? "officer (Enter to stop, r to reject): " : "administrator (Enter to stop): "));
    if (officer.empty()) {
      TRY(answer_to(CancelApproval{}));
      terminal_->show(request != nullptr ? "stopped; nothing was signed, the request waits again" : "stopped; nothing was done");
      return {};
    }
    if (officer == "r" && request != nullptr) {
      if (TRY(reject(*request))) return {};
      continue;
    }
    std::optional<Credentials> typed = TRY(ask_pin(officer));
    if (!typed) continue;
    ConsoleAnswer answer = TRY(answer_to(EnterPin{typed->officer, std::move(typed->pin)}));
    if (const auto* const done = std::get_if<Done>(&answer)) {
      terminal_->show(printable(done->text));
      return {};
    }
    if (auto* const next = std::get_if<Approval>(&answer)) {
      approval = std::move(*next);
      terminal_->show("approved by " + joined(approval.approved));
      continue;
    }
    show_refusal(answer);
    // Whether the sitting still goes on is the daemon's to say: a wrong PIN leaves it open, a failed TPM ends it.
    const auto* const refusal = std::get_if<Refusal>(&answer);
    if (refusal != nullptr && refusal->sitting_is_over) return {};
  }
}

Result<std::optional<ConsoleSession::Credentials>> ConsoleSession::ask_pin(std::string officer) {
  if (officer.empty() || officer.size() > base::limits::kNameBytes) {
    terminal_->show("that is not an officer's name");
    return std::optional<Credentials>();
  }
  Result<base::SecretBytes> pin = terminal_->ask_secret(fmt::format("PIN of {}: ", printable(officer)));
  if (!pin && pin.error().code() != Errc::usage) return tl::unexpected<base::Error>(pin.error());
  if (!pin || pin->empty()) {   // an empty PIN would cost the officer a try
    terminal_->show("not done: " + (pin ? "no PIN was typed" : pin.error().text()));
    return std::optional<Credentials>();
  }
  return std::optional<Credentials>(Credentials{std::move(officer), std::move(*pin)});
}

Result<bool> ConsoleSession::reject(const WaitingRequest& request) {
  const std::string reason = TRY(terminal_->ask("reason, for the submitter: "));
  if (reason.empty()) {
    terminal_->show("a rejection needs a reason; nothing was done");
    return false;
  }
  std::string officer = TRY(terminal_->ask("officer: "));
  std::optional<Credentials> typed = TRY(ask_pin(std::move(officer)));
  if (!typed) return false;
  const ConsoleAnswer answer = TRY(answer_to(RejectRequest{request.id, typed->officer, std::move(typed->pin), reason}));
  if (const auto* const done = std::get_if<Done>(&answer)) terminal_->show(printable(done->text));
  const auto* const refusal = std::get_if<Refusal>(&answer);
  return !show_refusal(answer) || refusal->sitting_is_over;
}

}  // namespace appliance
