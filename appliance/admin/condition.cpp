#include "appliance/admin/condition.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "appliance/admin/certificates.hpp"
#include "appliance/anchored_log.hpp"
#include "appliance/configuration.hpp"
#include "appliance/custody.hpp"
#include "appliance/key_store.hpp"
#include "crypto/base/limits.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr std::chrono::seconds kAnswerWithin{150};   // coldseald does one thing at a time, an inspection up to two minutes

class Connection {
 public:
  explicit Connection(int descriptor) : descriptor_(descriptor) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { close(descriptor_); }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Result<std::string> read_to_end(int socket) {
  std::string text;
  std::array<char, 16384> piece{};
  const auto deadline = std::chrono::steady_clock::now() + kAnswerWithin;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready{socket, POLLIN, 0};
    if (left.count() <= 0) return fail(Errc::unavailable, fmt::format("coldseald did not answer within {} s: see its journal", kAnswerWithin.count()));
    if (poll(&ready, 1, static_cast<int>(left.count())) <= 0) continue;
    const ssize_t count = read(socket, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(Errc::unavailable, fmt::format("coldseald's answer: {}", std::strerror(errno)));
    if (count == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
    if (text.size() > base::limits::kConsoleMessageBytes) return fail(Errc::malformed, "coldseald's answer is too long");
  }
}

Result<Checkup> ask_coldseald(const Layout& layout) {
  const std::string path = layout.status_socket().string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(Errc::usage, fmt::format("{}: too long for a socket's path", path));
  path.copy(address.sun_path, path.size());
  const Connection socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const to = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  if (socket.get() < 0 || connect(socket.get(), to, sizeof address) != 0)
    return fail(Errc::unavailable, fmt::format("the TPM is in use, and coldseald does not answer at {}: {}; another coldseal-admin may be running", path, std::strerror(errno)));
  const std::string text = TRY(read_to_end(socket.get()));
  if (text.empty()) return fail(Errc::refused, "coldseald answers root and its own user only");
  return Checkup::from_json(text);
}

// Whoever watches an appliance by doctor must hear that nothing is signed there. Before its keys are born there is nothing to start.
ItemState state_of_no_daemon(const Layout& layout, bool is_doctor) {
  const Result<std::vector<std::string>> keys = key_classes(layout);
  return is_doctor && keys && !keys->empty() ? ItemState::attention : ItemState::note;
}

Checkup look_here(const Layout& layout, Configuration& configuration, Custody& custody, const Clock& clock, bool is_doctor) {
  Checkup checkup{"coldseal-admin", {}};
  checkup.add("coldseald", state_of_no_daemon(layout, is_doctor), "does not run", "when nobody administers: systemctl start coldseald");
  std::optional<AnchoredLog::Opened> opened;
  LogFacts log;
  Administered administered;
  RequestBook book;
  if (is_there(layout.audit_log())) {   // nothing is begun here
    auto read = AnchoredLog::open(layout.audit_log(), clock, [&](const transparency::AuditLine& line) -> Result<void> {
      TRY(book.apply(line));
      return administered.apply(line);
    });
    if (read) {
      opened.emplace(std::move(*read));
      log.last = opened->log.lines() == 0 ? base::Time{} : opened->log.now();
      log.lines = opened->log.lines();
      log.check = [&]() -> Result<void> {
        tpm::AuditAnchor anchor = TRY(custody.anchor());
        return opened->log.check(anchor);
      };
    } else {
      checkup.add("audit log", ItemState::attention, read.error().text(), "do not sign; docs/operations.md, \"The audit log does not fit\"");
    }
  }
  configuration.heed(administered);
  // What coldseald would know when it started.
  TrustedClock trusted(clock, configuration.box.clock_days);
  if (const auto last = last_time_in(layout.audit_log()); last && *last) trusted.know(**last);
  if (const auto tpm_time = custody.time(); opened && tpm_time && *tpm_time) trusted.know(**tpm_time - administered.tpm_ahead());
  look_at_appliance(checkup, {.layout = &layout,
                              .configuration = &configuration,
                              .custody = &custody,
                              .log = opened ? &log : nullptr,
                              .administered = opened ? &administered : nullptr,
                              .clock = &clock,
                              .trusted_clock = &trusted,
                              .book = opened ? &book : nullptr});
  return checkup;
}

}  // namespace

Result<void> show_condition(const Layout& layout, const ConditionWords& words, Terminal& terminal, const Clock& clock) {
  Configuration configuration = TRY(Configuration::load(layout));
  Checkup checkup;
  Result<void> facts;
  Result<TpmLock> lock = TpmLock::take(layout);
  if (lock) {
    Custody custody(layout, configuration.tpm, configuration.mode);
    if (!words.as_json && !words.only_problems) facts = show_status(layout, custody, terminal);
    checkup = look_here(layout, configuration, custody, clock, words.only_problems);
  } else if (lock.error().code() == Errc::unavailable) {
    checkup = TRY(ask_coldseald(layout));
  } else {
    return tl::unexpected<base::Error>(lock.error());
  }
  const std::size_t problems = checkup.need_attention();
  if (words.as_json) {
    std::string json = checkup.to_json();
    json.pop_back();   // show() ends the line
    terminal.show(json);
  } else {
    if (words.only_problems) std::erase_if(checkup.items, [](const CheckupItem& item) { return item.state == ItemState::well; });
    if (!words.only_problems || !checkup.items.empty()) terminal.show(fmt::format("check-up by {} (! needs attention, - to be known)", checkup.by));
    for (const std::string& line : checkup.lines()) terminal.show(line);
    if (problems == 0) terminal.show("nothing needs attention");
  }
  if (problems != 0 && words.only_problems) return fail(Errc::refused, fmt::format("{} {} attention", problems, problems == 1 ? "thing needs" : "things need"));
  return facts;
}

}  // namespace appliance
