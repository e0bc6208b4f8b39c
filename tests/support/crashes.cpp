#include "tests/support/crashes.hpp"

#include <fmt/format.h>

#include <array>
#include <set>
#include <sstream>
#include <stdexcept>

#include "crypto/digest.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "crypto/transparency/audit_log_line.hpp"
#include "tests/support/forged_request.hpp"
#include "usb/files/parcel.hpp"
#include "usb/wire/request.hpp"

namespace tests {

namespace fs = std::filesystem;
using transparency::AuditEvent;

namespace {

std::vector<TestOfficer> two() { return {ApplianceRig::officers()[0], ApplianceRig::officers()[1]}; }

// Where a request is between its steps, and who approved: what coldseald must have kept to, whenever it died.
struct Course {
  std::set<std::string> approved;
  bool in_approval = false;
  bool signing = false;
  int answers = 0;
};

std::string follow(Course& course, const transparency::AuditLine& line) {
  switch (line.event) {
    case AuditEvent::approval_started:
      course.approved.clear();
      course.in_approval = true;
      course.signing = false;
      break;
    case AuditEvent::approved_by:
      if (!course.in_approval) return "an approval outside a sitting";
      course.approved.insert(line.data.at("officer"));
      break;
    case AuditEvent::signing:
      if (!course.in_approval || course.approved.size() < 2) return "signing without two approvals of this sitting";
      if (course.signing) return "one approval is signed for twice";
      course.signing = true;
      break;
    case AuditEvent::signed_:
      if (!course.signing) return "signed without having begun to";
      break;
    case AuditEvent::returned_to_waiting:
    case AuditEvent::expired:
      course = Course{};
      break;
    case AuditEvent::delivered_to_outbox:
      if (++course.answers > 1) return "answered twice";
      break;
    default:
      break;
  }
  return "";
}

}  // namespace

std::string count_by_kind(const Faults& faults) {
  constexpr std::array kNames = {"create", "write", "sync", "rename", "mkdir", "remove", "truncate", "TPM", "message", "serial"};
  static_assert(kNames.size() == kFaultKinds);
  std::string text;
  for (std::uint32_t kind = 0; kind < kFaultKinds; ++kind)
    if (const auto count = faults.points_of(static_cast<FaultKind>(kind)); count > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, kNames[kind]);
  return text;
}

std::string examine_whole_log(const fs::path& file) {
  transparency::AuditChain chain;
  std::map<std::string, Course> courses;
  const std::string text = read_text(file);
  std::size_t at = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', at)) {
    const auto line = chain.accept(std::string_view(text).substr(at, end - at));
    if (!line) return "the log's chain is broken: " + line.error().text();
    if (const std::string wrong = follow(courses[line->request], *line); !wrong.empty() && !line->request.empty())
      return fmt::format("line {}: {}", line->index + 1, wrong);
    at = end + 1;
  }
  return "";   // a torn end is the next start's to repair
}

DaemonCrashes::DaemonCrashes(RequestCourse course) : course_(course), rig_(folder_ / "rig") {
  // What its INF wants and is not there is an error.
  fs::copy(COLDSEAL_SAMPLE_DIR, folder_ / "package");
  if (course_ == RequestCourse::refused) fs::remove(folder_ / "package/coldsample.exe");
  keys::SubmitterKey stranger = keys::SubmitterKey::generate();
  write_text(folder_ / "stranger.pem", stranger.pem(nullptr));
  rig_.provision();
  faults_.let_the_clock_run(10);
  rig_.run_daemon_under(faults_);
  rig_.start_daemon();
  points_ = points_of(kEveryKind);
  counted_ = count_by_kind(faults_);
  faults_.disarm();
}

int DaemonCrashes::points_of(std::uint32_t kinds) {
  const std::string id = new_request();
  faults_.arm(0, FaultDeed::none, kinds);
  if (const std::string wrong = whole_request(id); !wrong.empty()) throw std::runtime_error(wrong);
  return static_cast<int>(faults_.points());
}

// As the log has it: after a disk was full that may take until coldseald could write again.
bool DaemonCrashes::is_waiting(const std::string& id) const {
  bool waits = false;
  for (const std::string& event : rig_.audit_events(id)) {
    if (event == "inspected" || event == "returned-to-waiting" || event == "expired") waits = true;
    if (event == "approval-started" || event == "rejected" || event == "delivered-to-outbox") waits = false;
  }
  return waits;
}

bool DaemonCrashes::log_has(const std::string& id, const std::string& event) const {
  std::istringstream lines(read_text(rig_.state() / "log/audit.jsonl"));
  for (std::string line; std::getline(lines, line);)
    if (line.find("\"event\":\"" + event + "\"") != std::string::npos && line.find(id) != std::string::npos) return true;
  return false;
}

// On its way to the inbox: complete, but not there yet.
std::string DaemonCrashes::new_request() {
  ForgedRequest request(rig_, folder_ / "package", folder_ / ("host-" + std::to_string(++count_)));
  if (course_ == RequestCourse::refused_at_the_door) request.sign_payload(request.payload(), folder_ / "stranger.pem");
  fs::copy(request.path(), rig_.state() / "inbox" / (request.id() + ".part"), fs::copy_options::recursive);
  fs::remove_all(folder_ / ("host-" + std::to_string(count_)));
  ids_.push_back(request.id());
  return request.id();
}

std::string DaemonCrashes::by_people(const std::string& id) {
  if (course_ == RequestCourse::signed_) return rig_.try_to_approve(id, two()) ? "" : "it was not signed";
  const std::unique_ptr<AtTerminal> console = rig_.open_request(id);
  console->type("r");
  console->expect("reason");
  console->type("not this one");
  console->expect("officer:");
  console->type(two()[0].name);
  console->expect("PIN of " + two()[0].name);
  console->type(two()[0].pin);
  return console->expect_any({"is rejected", "not done", "number to read a request"}) == 0 ? "" : "it was not rejected";
}

bool DaemonCrashes::is_answered(const std::string& id) const {
  return log_has(id, "delivered-to-outbox") || (course_ == RequestCourse::refused_at_the_door && fs::exists(rig_.outbox(id)));
}

// Empty when it was answered; else how far it came.
std::string DaemonCrashes::whole_request(const std::string& id) {
  fs::rename(rig_.state() / "inbox" / (id + ".part"), rig_.state() / "inbox" / id);
  try {
    wait_until("the request waits or is answered, or coldseald is gone", [&] { return !rig_.daemon().is_running() || log_has(id, "inspected") || is_answered(id); });
    if (!rig_.daemon().is_running()) return "coldseald ended before it waited";
    if (log_has(id, "inspected"))
      if (std::string undone = by_people(id); !undone.empty()) return undone;
    rig_.wait_for_response(id);
  } catch (const std::runtime_error& error) {   // the console lost its coldseald
    return error.what();
  }
  return "";
}

// While coldseald is dead: what the disk says now, a courier, a person and the next start may see.
std::string DaemonCrashes::examine_wreck(const std::string& id) const {
  if (std::string wrong = examine_whole_log(rig_.state() / "log/audit.jsonl"); !wrong.empty()) return wrong;
  for (const auto& entry : fs::directory_iterator(rig_.state() / "outbox")) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() == ".part") {
      const std::string of = name.substr(0, name.size() - 5);
      if (fs::exists(entry.path() / "files") && !fs::is_empty(entry.path() / "files") && !log_has(of, "signing"))
        return "signed files without a log entry: " + name;
      continue;
    }
    if (entry.path().extension() == usb::kWaitingSuffix) continue;   // says of a request that it waits
    if (!wire::is_request_id(name)) return "in the outbox there is " + name;
    if (!fs::exists(entry.path() / "receipt.dsse.json")) return "half a response is visible: " + name;
    const std::string receipt = crypto::sha256(read_file(entry.path() / "receipt.dsse.json")).hex();
    // A refusal at the door is made anew after a power cut; the log holds its reason and not its receipt.
    if (!log_has(name, "intake-refused") && read_text(rig_.state() / "log/audit.jsonl").find(receipt) == std::string::npos)
      return "a response was never logged: " + name;
  }
  const fs::path state = rig_.state();
  const bool is_somewhere = fs::exists(state / "inbox" / id / "request.dsse.json") || fs::exists(state / "spool" / id / "request.dsse.json") ||
                            (log_has(id, "received") && fs::exists(state / "spool" / (id + ".part/request.dsse.json"))) ||
                            fs::exists(rig_.outbox(id)) ||
                            (log_has(id, "delivered-to-outbox") && fs::exists(state / "outbox" / (id + ".part/receipt.dsse.json")));
  return is_somewhere ? "" : "the request is lost";
}

// The receipt says what became of it, and nothing is signed that should not be.
std::string DaemonCrashes::expect_answer(const std::string& id) const {
  const fs::path answer = rig_.outbox(id);
  const Finished verified = run({program("coldseal"), "verify", course_ == RequestCourse::signed_ ? answer / "files" : answer, "--receipt",
                                 answer / "receipt.dsse.json", "--trust", rig_.trust()});
  if (course_ == RequestCourse::signed_) return verified.status == 0 ? "" : verified.output;
  const std::string outcome = course_ == RequestCourse::rejected ? "rejected by vault-1" : "refused by vault-1";
  if (verified.output.find(outcome) == std::string::npos) return "not \"" + outcome + "\":\n" + verified.output;
  return log_has(id, "signing") ? "it was signed for" : "";
}

void DaemonCrashes::restart() {
  rig_.daemon().kill();
  rig_.stop_daemon();
  rig_.start_daemon();
}

std::string DaemonCrashes::finish(const std::string& id) {
  wait_until("the request waits or is answered", [&] { return is_waiting(id) || is_answered(id); });
  if (!is_answered(id))
    if (std::string undone = by_people(id); !undone.empty()) return undone;
  rig_.wait_for_response(id);
  if (std::string wrong = expect_answer(id); !wrong.empty()) return wrong;
  const fs::path state = rig_.state();
  wait_until("nothing but the answer is left", [&] {
    return !fs::exists(state / "inbox" / id) && !fs::exists(state / "spool" / id) && !fs::exists(state / "spool" / (id + ".part")) &&
           !fs::exists(state / "outbox" / (id + ".part"));
  });
  return "";
}

std::string DaemonCrashes::strike(int at, FaultDeed deed) {
  std::string where = fmt::format("point {} of {}: ", at, points_);
  try {
    const std::string id = new_request();
    faults_.arm(static_cast<std::uint64_t>(at), deed);
    const std::string stopped = whole_request(id);
    const bool struck = faults_.struck() != 0;
    if (struck) {
      ++struck_;
      where += faults_.what() + ": ";
      wait_until("coldseald is gone", [&] { return !rig_.daemon().is_running(); });
    }
    faults_.disarm();
    if (!struck && !stopped.empty()) return where + "nothing was struck, and " + stopped;
    if (const std::string wrong = examine_wreck(id); !wrong.empty()) return where + wrong;
    if (struck) restart();
    if (const std::string wrong = finish(id); !wrong.empty()) return where + wrong;
  } catch (const std::runtime_error& error) {
    return where + error.what() + "\n" + rig_.daemon().log();
  }
  return "";
}

std::string DaemonCrashes::strike_and_strike_restarts(int at, int& restarts) {
  std::string where = fmt::format("point {} of {}: ", at, points_);
  try {
    const std::string id = new_request();
    faults_.arm(static_cast<std::uint64_t>(at), FaultDeed::kill);
    const std::string stopped = whole_request(id);
    if (faults_.struck() == 0) return stopped;
    ++struck_;
    where += faults_.what() + ", ";
    for (int again = 1;; ++again, ++restarts) {
      rig_.daemon().kill();
      rig_.stop_daemon();
      if (const std::string wrong = examine_wreck(id); !wrong.empty()) return where + wrong;
      faults_.arm(static_cast<std::uint64_t>(again), FaultDeed::kill);
      bool is_up = true;
      try {
        rig_.start_daemon();
        wait_until("coldseald is done with what was left", [&] { return !rig_.daemon().is_running() || log_has(id, "inspected"); });
        is_up = rig_.daemon().is_running();
      } catch (const std::runtime_error&) {   // it ended before it listened
        is_up = false;
      }
      if (is_up && faults_.struck() == 0) break;
      where += fmt::format("then {}, ", faults_.what());
      wait_until("coldseald is gone", [&] { return !rig_.daemon().is_running(); });
    }
    faults_.disarm();
    if (const std::string wrong = finish(id); !wrong.empty()) return where + wrong;
  } catch (const std::runtime_error& error) {
    return where + error.what() + "\n" + rig_.daemon().log();
  }
  return "";
}

std::string DaemonCrashes::fail(int at, bool for_long, std::uint32_t kinds, int error) {
  std::string where = fmt::format("point {}, error {}: ", at, error);
  try {
    const std::string id = new_request();
    const std::size_t said_before = rig_.daemon().log().size();
    faults_.arm(static_cast<std::uint64_t>(at), for_long ? FaultDeed::fail_on : FaultDeed::fail_once, kinds, error);
    fs::rename(rig_.state() / "inbox" / (id + ".part"), rig_.state() / "inbox" / id);
    // It waits, or says that it cannot go on; a fault that lasts is left alone until then.
    const auto said = [&] { return rig_.daemon().log().find("put off", said_before) != std::string::npos; };
    wait_until("the request waits, or coldseald says why not", [&] { return !rig_.daemon().is_running() || log_has(id, "inspected") || said(); });
    bool was_signed = false;
    if (rig_.daemon().is_running() && log_has(id, "inspected")) {
      try {
        was_signed = rig_.try_to_approve(id, two());
      } catch (const std::runtime_error& unread) {   // it could not even be read: then the screen says why
        if (std::string_view(unread.what()).find("not done: ") == std::string_view::npos) throw;
      }
    }
    const bool struck = faults_.struck() != 0;
    if (struck) ++struck_;
    where += faults_.what() + ": ";
    faults_.disarm();
    if (!rig_.daemon().is_running()) return where + "coldseald ended:\n" + rig_.daemon().log().substr(said_before);
    if (!struck && !was_signed) return where + "nothing failed, and nothing was signed";
    if (const std::string wrong = examine_wreck(id); !wrong.empty()) return where + wrong;
    if (const std::string wrong = finish(id); !wrong.empty()) return where + wrong;
  } catch (const std::runtime_error& thrown) {
    faults_.disarm();
    return where + thrown.what() + "\n" + rig_.daemon().log();
  }
  return "";
}

std::string DaemonCrashes::examine_log() const {
  if (std::string wrong = examine_whole_log(rig_.state() / "log/audit.jsonl"); !wrong.empty()) return wrong;
  for (const std::string& id : ids_)
    if (!is_answered(id)) return id + " was never answered";
  return "";
}

}  // namespace tests
