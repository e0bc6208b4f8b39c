// The demonstration behind appliance/demo: a whole appliance on a software TPM, the main job once over a stick and once
// over a serial cable, and a table of what came of it, with osslsigncode as the judge that knows nothing of us.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/transparency/dsse.hpp"
#include "crypto/transparency/receipt.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/process.hpp"
#include "tests/support/serial_cable.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

namespace fs = std::filesystem;
using tests::ApplianceRig;
using tests::Command;

struct Wishes {
  fs::path package = COLDSEAL_SAMPLE_DIR;
  std::string os = "10_X64";
  fs::path output;
  bool interactive = false;
};

class Storyteller {   // what happens, with the seconds since the beginning
 public:
  void say(const std::string& what) {
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - start_;
    fmt::print("[{:5.1f} s]  {}\n", since.count(), what);
    (void)std::fflush(stdout);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void run_in_foreground(const Command& command) {
  const pid_t pid = fork();
  if (pid == 0) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  (void)waitpid(pid, &status, 0);
}

void let_officers_decide(const ApplianceRig& rig, const std::string& id, const Wishes& wishes, Storyteller& story) {
  if (!wishes.interactive) {
    story.say("officers cay and ada read the request at the console and enter their PINs");
    rig.approve(id, {ApplianceRig::officers()[2], ApplianceRig::officers()[0]});
    return;
  }
  fmt::print("\nYou are the officers now; any two of:");
  for (const tests::TestOfficer& officer : ApplianceRig::officers()) fmt::print("  {} (PIN {})", officer.name, officer.pin);
  fmt::print("\n\n");
  (void)std::fflush(stdout);
  while (!fs::exists(rig.outbox(id))) run_in_foreground({tests::program("coldseal-console"), "--root", rig.root()});
}

// The stick is a FAT image: written on the host, read at the appliance, written there, read on the host again.
class FatStick {
 public:
  explicit FatStick(fs::path image, std::uintmax_t bytes) : image_(std::move(image)) {
    // Room for the package and for what comes back, and for FAT itself.
    const std::uintmax_t megabytes = std::max<std::uintmax_t>(16, bytes * 3 / 1'000'000 + 16);
    tests::run_well({"mkfs.vfat", "-C", image_, std::to_string(megabytes * 1024)});
  }
  void put(const fs::path& folder) const { tests::run_well({"mcopy", "-i", image_, "-s", "-o", "-n", folder / "coldseal", "::/"}); }
  void take(const fs::path& folder) const {
    fs::create_directories(folder);
    tests::run_well({"mcopy", "-i", image_, "-s", "-o", "-n", "::/coldseal", folder});
  }

 private:
  fs::path image_;
};

std::uintmax_t bytes_in(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

fs::path over_the_stick(ApplianceRig& rig, const Wishes& wishes, Storyteller& story) {
  const fs::path host = wishes.output / "host-side-stick";
  story.say("host: a request is made and signed by build-1, and written to the stick (a FAT image)");
  const FatStick stick(wishes.output / "stick.img", bytes_in(wishes.package));
  const std::string id = rig.make_request(wishes.package, wishes.os, host);
  stick.put(host);
  story.say("the stick is carried to the appliance");
  stick.take(rig.stick());
  const tests::Background courier = rig.start_courier({"--stick", rig.stick()});
  rig.wait_for_journal(id, "waits for the officers");
  story.say("appliance: received, checked, spooled, inspected");
  let_officers_decide(rig, id, wishes, story);
  tests::wait_until("the response is on the stick", [&] { return fs::exists(rig.stick() / "coldseal/responses" / id); });
  stick.put(rig.stick());
  story.say("the stick is carried back");
  const fs::path back = wishes.output / "host-side-stick-back";
  stick.take(back);
  tests::run_well({tests::program("coldseal"), "collect", "--from", back, "-o", wishes.output / "signed-over-stick"});
  return wishes.output / "signed-over-stick" / id;
}

fs::path over_the_cable(ApplianceRig& rig, const Wishes& wishes, Storyteller& story) {
  story.say("host: another request, sent over a serial cable (a pair of pseudo-terminals)");
  tests::SerialCable cable;
  const tests::Background courier = rig.start_courier({"--serial", cable.appliance_end()});
  const fs::path out = wishes.output / "host-side-cable";
  const std::string id = rig.make_request(wishes.package, wishes.os, out);
  tests::run_well({tests::program("coldseal"), "send", "--serial", cable.host_end(), out / "coldseal/requests" / id});
  rig.wait_for_journal(id, "waits for the officers");
  story.say("appliance: received, checked, spooled, inspected");
  let_officers_decide(rig, id, wishes, story);
  tests::run_well({tests::program("coldseal"), "collect", "--serial", cable.host_end(), "--key", rig.submitter_key(), "-o",
                   wishes.output / "signed-over-cable", id});
  story.say("host: the response is collected over the cable");
  return wishes.output / "signed-over-cable" / id;
}

// coldseal verify's report on the response: whether it accepts the whole, and on each file. Throws when the receipt is not valid.
struct OurReport {
  bool accepts_all = false;
  std::map<std::string, nlohmann::json> files;
};
OurReport our_report(const ApplianceRig& rig, const fs::path& response) {
  const tests::Finished verified = tests::run({tests::program("coldseal"), "verify", response / "files", "--receipt",
                                               response / "receipt.dsse.json", "--trust", rig.trust(), "--json"});
  const auto json = nlohmann::json::parse(verified.output, nullptr, false);
  if (json.is_discarded()) throw std::runtime_error("coldseal verify:\n" + verified.output);
  if (!json.at("receipt").at("valid").get<bool>()) throw std::runtime_error("the receipt is not valid:\n" + verified.output);
  OurReport report{verified.status == 0, {}};
  for (const auto& file : json.at("paths").at(0).at("files")) report.files[file.at("path")] = file;
  return report;
}

std::string our_verdict(const transparency::OutputFile& output, const nlohmann::json& ours) {
  // What somebody else signed has another root than the one trusted here.
  if (!ours.at("valid").get<bool>()) return output.operation == transparency::OutputOperation::already_signed ? "not trusted here" : "INVALID";
  if (!ours.at("signer").get<std::string>().empty()) return "valid";
  return ours.at("vouchedBy").empty() ? "in the receipt" : "valid by catalog";
}

std::string osslsigncode_verdict(const ApplianceRig& rig, const fs::path& response, const transparency::OutputFile& output,
                                 const nlohmann::json& ours) {
  Command command{"osslsigncode", "verify", "-in", response / "files" / output.path, "-CAfile", rig.ca_root()};
  const bool by_itself = transparency::is_signed_here(output.operation);
  if (!by_itself) {
    // It reads catalogs for PE files only.
    if (ours.at("kind") != "PE" || ours.at("vouchedBy").empty()) return "-";
    command.insert(command.end(), {"-catalog", response / "files" / ours.at("vouchedBy").at(0).get<std::string>()});
  }
  const bool accepted = tests::run(command).status == 0;
  return accepted ? (by_itself ? "valid" : "valid by catalog") : "REFUSED";
}

bool show_table(const ApplianceRig& rig, const fs::path& response, const std::string& title) {
  const base::Bytes text = tests::read_file(response / "receipt.dsse.json");
  const auto envelope = transparency::Envelope::parse(base::as_text(text), base::limits::kReceiptBytes);
  const std::string pem = tests::read_text(rig.trust() / "receipt-key.pem");
  const auto key = crypto::PublicKey::parse_pem(pem);
  const auto json = envelope && key ? envelope->verify(*key, transparency::kStatementPayloadType)
                                    : base::Result<std::string_view>(base::fail(base::Errc::malformed, "receipt or key"));
  if (!json) throw std::runtime_error("the receipt: " + json.error().text());
  const auto receipt = transparency::Receipt::from_json(*json);
  if (!receipt) throw std::runtime_error("the receipt: " + receipt.error().text());
  const OurReport report = our_report(rig, response);

  std::size_t widest = 4;
  for (const transparency::OutputFile& output : receipt->outputs) widest = std::max(widest, output.path.size());
  fmt::print("\n{}\n", title);
  fmt::print("  {:<{}}  {:<26}  {:<64}  {:<16}  {}\n", "file", widest, "what was done", "sha256", "coldseal verify", "osslsigncode");
  bool all_good = true;
  bool some_foreign = false;   // then the whole cannot be accepted here
  for (const transparency::OutputFile& output : receipt->outputs) {
    const auto& ours = report.files.at(output.path);
    const std::string verdict = our_verdict(output, ours);
    const std::string theirs = osslsigncode_verdict(rig, response, output, ours);
    all_good = all_good && verdict != "INVALID" && theirs != "REFUSED";
    some_foreign = some_foreign || !ours.at("valid").get<bool>();
    fmt::print("  {:<{}}  {:<26}  {:<64}  {:<16}  {}\n", base::printable(output.path), widest,
               transparency::output_operation_name(output.operation), output.sha256.hex(), verdict, theirs);
  }
  fmt::print("  receipt valid: {}, {} of {} officers; it lies with the files in\n  {}\n", receipt->signing_set->words(),
             receipt->approvals.size(), receipt->key->officers, response.string());
  return all_good && (report.accepts_all || some_foreign);
}

// The audit log as an auditor gets it, and the receipt as it goes into a folder of paper.
void show_log(ApplianceRig& rig, const fs::path& output, const fs::path& response) {
  rig.stop_daemon();   // the TPM is one program's at a time
  tests::run_well({tests::program("coldseal-admin"), "--root", rig.root(), "log", "export", output / "audit"});
  const fs::path exported = fs::directory_iterator(output / "audit")->path();
  const fs::path transcript = rig.state() / "ceremony/transcript.json";
  fmt::print("\nThe audit log, in {}\n{}", exported.string(),
             tests::run_well({tests::program("coldseal"), "audit", "verify", exported, "--key", rig.trust() / "receipt-key.pem", "--transcript", transcript}));
  const tests::Command slip{tests::program("coldseal"), "slip", response / "receipt.dsse.json", "--trust", rig.trust()};
  fmt::print("\n{}", tests::run_well(slip));
  tests::Command page = slip;
  page.insert(page.end(), {"--html", output / "slip.html"});
  tests::run_well(page);
  fmt::print("\nThe approval slip, to print: {}\n", (output / "slip.html").string());
}

int demonstrate(const Wishes& wishes) {
  Storyteller story;
  ApplianceRig rig(wishes.output / "rig", [&](const std::string& what) { story.say(what); });
  rig.provision();
  rig.start_daemon();
  story.say("coldseald runs");
  const fs::path by_stick = over_the_stick(rig, wishes, story);
  const fs::path by_cable = over_the_cable(rig, wishes, story);
  show_log(rig, wishes.output, by_stick);
  const bool stick_valid = show_table(rig, by_stick, "Over the stick");
  const bool cable_valid = show_table(rig, by_cable, "Over the serial cable");
  fmt::print("\nTo verify again:\n  {} verify {} --receipt {} --trust {}\n", tests::program("coldseal"), (by_stick / "files").string(),
             (by_stick / "receipt.dsse.json").string(), rig.trust().string());
  story.say(stick_valid && cable_valid ? "done" : "something was not valid");
  return stick_valid && cable_valid ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  base::CommandLine app("Runs the main job on an appliance of its own and shows the result.", "appliance/demo");
  Wishes wishes;
  std::string package;
  std::string output;
  app.option("--package", package, "a driver package of yours: the folder with its INF files (default: the sample package)");
  app.option("--os", wishes.os, "operating systems, as Inf2Cat's /os: takes them").shows_default();
  app.flag("--interactive", wishes.interactive, "you play the officers at the console");
  app.option("-o,--output", output, "folder for everything that is made (default: build/demo)").required();
  if (const std::optional<int> status = app.parse(argc, argv)) return *status;
  (void)signal(SIGPIPE, SIG_IGN);
  try {
    if (!package.empty()) wishes.package = fs::absolute(package);
    if (!fs::is_directory(wishes.package)) throw std::runtime_error(wishes.package.string() + ": no such folder");
    // Nothing of an earlier run is left over; only a folder that an earlier run made is removed.
    wishes.output = fs::absolute(output);
    if (fs::exists(wishes.output) && !fs::exists(wishes.output / "rig") && !fs::is_empty(wishes.output))
      throw std::runtime_error(wishes.output.string() + ": there is something else in that folder");
    fs::remove_all(wishes.output);
    fs::create_directories(wishes.output);
    return demonstrate(wishes);
  } catch (const std::exception& error) {
    fmt::print(stderr, "appliance/demo: {}\n", error.what());
    return 1;
  }
}
