// The services as they are installed: coldseald, courier, inspector and console under users of their own, with the rights that
// appliance/systemd gives their folders. Only root can start them so.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "appliance/confinement.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/inspector_double.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

// Numbers that nobody has: the test makes no users on this machine.
constexpr uid_t kDaemon = 61001;
constexpr uid_t kCourier = 61002;
constexpr uid_t kInspector = 61003;
constexpr uid_t kConsole = 61004;
constexpr gid_t kBoxes = 61005;

Command as(uid_t user, const std::vector<gid_t>& groups, const std::string& capabilities = {}) {
  std::string list;
  for (const gid_t group : groups) list += (list.empty() ? "" : ",") + std::to_string(group);
  Command command{"setpriv", "--reuid", std::to_string(user), "--regid", std::to_string(user), "--no-new-privs", "--pdeathsig", "KILL"};
  if (list.empty())
    command.emplace_back("--clear-groups");
  else
    command.insert(command.end(), {"--groups", list});
  command.insert(command.end(), {"--bounding-set", "-all" + capabilities, "--inh-caps", "-all" + capabilities});
  if (!capabilities.empty()) command.insert(command.end(), {"--ambient-caps", "-all" + capabilities});
  return command;
}

void own(const fs::path& path, uid_t user, gid_t group, mode_t mode) {
  ASSERT_EQ(chown(path.c_str(), user, group), 0) << path;
  ASSERT_EQ(chmod(path.c_str(), mode), 0) << path;
}

void own_all(const fs::path& tree, uid_t user) {
  ASSERT_EQ(lchown(tree.c_str(), user, user), 0);
  for (const auto& entry : fs::recursive_directory_iterator(tree)) ASSERT_EQ(lchown(entry.path().c_str(), user, user), 0);
}

// What systemd-tmpfiles makes of appliance/systemd/tmpfiles.conf; interop.systemd_units holds it to the same.
void hand_over(const ApplianceRig& rig, const fs::path& folder) {
  chmod(folder.c_str(), 0711);
  chmod(rig.root().c_str(), 0755);
  for (const char* const above : {"etc", "var", "var/lib", "run"}) {
    fs::create_directories(rig.root() / above);
    chmod((rig.root() / above).c_str(), 0755);
  }
  own_all(rig.root() / "etc/coldseal", kDaemon);
  own_all(rig.state(), kDaemon);
  own_all(rig.root() / "run/coldseal", kDaemon);
  own(rig.root() / "run/coldseal", kDaemon, kDaemon, 0711);
  own(rig.state(), kDaemon, kBoxes, 0710);
  for (const char* const box : {"inbox", "outbox"}) fs::create_directories(rig.state() / box);
  own(rig.state() / "inbox", kCourier, kBoxes, 02770);
  own(rig.state() / "outbox", kDaemon, kBoxes, 02750);
}

class SeparateUsers : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can start programs as other users";
    rig.provision();
    hand_over(rig, folder.path());
    // Where every user may execute them, wherever they were built.
    const fs::path programs = folder / "programs";
    fs::create_directories(programs);
    chmod(programs.c_str(), 0755);
    for (const char* const name : {"coldseald", "coldseal-inspector", "coldseal-courier", "coldseal-console", "coldseal-admin"}) {
      fs::copy_file(program(name), programs / name);
      chmod((programs / name).c_str(), 0755);
    }
    own(rig.stick(), kCourier, kCourier, 0700);
    const fs::path tpm = rig.tpm().tcti().substr(rig.tpm().tcti().find('/'));
    own_all(tpm.parent_path(), kDaemon);   // two sockets
    rig.run_as({.daemon = as(kDaemon, {kBoxes, kConsole}, ",+setuid,+setgid,+kill"),
                .daemon_options = {"--inspector-user", "61003:61003", "--console-user", "61004:61004"},
                .courier = as(kCourier, {kBoxes}),
                .console = as(kConsole, {}),
                .programs = programs});
  }
  TempDir folder;
  ApplianceRig rig{folder.path()};
};

std::string status_line(pid_t pid, const std::string& key) {
  std::istringstream lines(read_text("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(key + ":\t")) return line.substr(key.size() + 2);
  return {};
}

void expect_confined(pid_t pid, const std::string& who) {
  EXPECT_EQ(status_line(pid, "NoNewPrivs"), "1") << who;
  EXPECT_EQ(status_line(pid, "Seccomp"), appliance::kConfines ? "2" : "0") << who;
}

TEST_F(SeparateUsers, DoTheMainJobTogether) {
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig.stick());
  own_all(rig.stick(), kCourier);   // a FAT stick is mounted as the courier's
  rig.wait_for_journal(id, "waits for the officers");
  EXPECT_NE(rig.daemon().log().find("the inspector runs as 61003:61003"), std::string::npos);
  EXPECT_EQ(status_line(rig.daemon().pid(), "Uid").substr(0, 5), "61001");
  expect_confined(rig.daemon().pid(), "coldseald");
  expect_confined(courier.pid(), "courier");
  rig.approve(id, {ApplianceRig::officers()[2], ApplianceRig::officers()[0]});
  const fs::path response = rig.stick() / "coldseal/responses" / id;
  wait_until("the response is on the stick", [&] { return fs::exists(response); });
  const Finished verified = run({program("coldseal"), "verify", response / "files", "--receipt", response / "receipt.dsse.json", "--trust", rig.trust()});
  EXPECT_EQ(verified.status, 0) << verified.output;
  // The courier's mark of the delivery is read and taken away by coldseald.
  wait_until("the delivery is in the log", [&] { return rig.audit_events(id).back() == "delivered"; });
  wait_until("the inbox is empty", [&] { return fs::is_empty(rig.state() / "inbox"); });
  EXPECT_TRUE(fs::is_empty(rig.state() / "spool"));
}

// What each of them would have to break first.
TEST_F(SeparateUsers, ReachOnlyWhatIsTheirs) {
  rig.start_daemon();
  const fs::path socket = rig.root() / "run/coldseal/console.sock";
  const auto status_as = [](const Command& who, const Command& what) {
    Command command = who;
    command.insert(command.end(), what.begin(), what.end());
    return run(command).status;
  };
  const Command courier = as(kCourier, {kBoxes});
  const Command inspector = as(kInspector, {});
  const Command console = as(kConsole, {});
  for (const char* const secret : {"keys", "log", "spool", "log/audit.jsonl", "keys/receipt"}) {
    EXPECT_EQ(status_as(as(kDaemon, {kBoxes}), {"ls", rig.state() / secret}), 0) << secret;   // they are there
    for (const Command& who : {courier, inspector, console})
      EXPECT_NE(status_as(who, {"ls", rig.state() / secret}), 0) << secret;
  }
  EXPECT_EQ(status_as(courier, {"ls", rig.state() / "outbox"}), 0);
  EXPECT_EQ(status_as(courier, {"touch", rig.state() / "inbox/x"}), 0);
  EXPECT_NE(status_as(courier, {"touch", rig.state() / "outbox/x"}), 0);
  EXPECT_NE(status_as(inspector, {"ls", rig.state() / "inbox"}), 0);
  EXPECT_NE(status_as(console, {"ls", rig.state() / "outbox"}), 0);
  const auto connects = [&](const Command& who, const fs::path& to) {   // 0, or 13: permission denied
    return status_as(who, {"/usr/bin/python3", "-c", "import socket,sys; sys.exit(socket.socket(socket.AF_UNIX).connect_ex(sys.argv[1]))", to});
  };
  EXPECT_EQ(connects(console, socket), 0);
  EXPECT_EQ(connects(courier, socket), 13);
  EXPECT_EQ(connects(inspector, socket), 13);
  EXPECT_EQ(connects(console, rig.root() / "run/coldseal/status.sock"), 13);
  struct stat about {};
  ASSERT_EQ(stat(socket.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777U, 0660U);
  EXPECT_EQ(about.st_gid, kConsole);
}

// Another process of the same user could read PINs out of a program's memory, or trace it, were the program not out of its reach:
// then its files in /proc are root's.
TEST_F(SeparateUsers, NoProgramThatIsGivenPinsCanBeReadOrTracedByItsOwnUser) {
  rig.start_daemon();
  const auto owner_of_memory = [](pid_t process) {
    struct stat about {};
    return stat(("/proc/" + std::to_string(process) + "/mem").c_str(), &about) == 0 ? about.st_uid : uid_t{0xffffffff};
  };
  const auto opens = [](uid_t user, pid_t process, const std::string& file) {
    Command command = as(user, {});
    command.insert(command.end(), {"/usr/bin/python3", "-c", "import sys; open(sys.argv[1], 'rb')", "/proc/" + std::to_string(process) + "/" + file});
    return run(command).status == 0;
  };
  const auto expect_out_of_reach = [&](uid_t user, pid_t process, const char* name) {
    EXPECT_EQ(status_line(process, "Uid").substr(0, 5), std::to_string(user)) << name;
    EXPECT_EQ(owner_of_memory(process), 0U) << name;
    for (const char* const file : {"mem", "environ", "maps"}) EXPECT_FALSE(opens(user, process, file)) << name << ": " << file;
  };
  {   // what it would be like otherwise
    Command plain = as(kDaemon, {});
    plain.insert(plain.end(), {"sleep", "60"});
    const Background sleeper(plain, folder / "sleep.log");
    wait_until("it sleeps", [&] { return read_text("/proc/" + std::to_string(sleeper.pid()) + "/comm") == "sleep\n"; });
    EXPECT_EQ(owner_of_memory(sleeper.pid()), kDaemon);
    for (const char* const file : {"environ", "maps"}) EXPECT_TRUE(opens(kDaemon, sleeper.pid(), file)) << file;
  }
  expect_out_of_reach(kDaemon, rig.daemon().pid(), "coldseald");
  {
    Command command = as(kConsole, {});
    command.insert(command.end(), {folder / "programs/coldseal-console", "--root", rig.root()});
    AtTerminal console(command);
    console.expect("q to leave");
    expect_out_of_reach(kConsole, console.pid(), "coldseal-console");
  }
  rig.stop_daemon();
  AtTerminal admin({program("coldseal-admin"), "--root", rig.root(), "lockout-reset"});   // root's, and becomes the service's
  admin.expect("administrator (");
  expect_out_of_reach(kDaemon, admin.pid(), "coldseal-admin");
  admin.type("");
}

// Root's own shell is where administrators work: what they make must be the service's.
TEST_F(SeparateUsers, AdministratorsActsAsRootLeaveNothingThatColdsealdCannotRead) {
  rig.administer({"configuration", "approve"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  for (const auto& entry : fs::recursive_directory_iterator(rig.state())) {
    struct stat about {};
    ASSERT_EQ(lstat(entry.path().c_str(), &about), 0);
    EXPECT_NE(about.st_uid, 0U) << entry.path();
  }
  rig.start_daemon();
}

// An inspector of another user is beyond ordinary kill(2).
TEST_F(SeparateUsers, AnInspectorThatDoesNotEndIsEndedThoughItIsAnothersProcess) {
  if (!appliance::kConfines) GTEST_SKIP() << "builds with sanitizers confine nothing";
  write_inspector_double(folder / "programs/coldseal-inspector", "misbehave flood");
  chmod((folder / "programs/coldseal-inspector").c_str(), 0755);
  rig.start_daemon();
  const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig.stick());
  own_all(rig.stick(), kCourier);
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  rig.wait_for_journal(id, "refused: inspector.output");
  rig.wait_for_response(id);
  const Finished left = run({"pgrep", "-u", std::to_string(kInspector)});
  EXPECT_NE(left.status, 0) << left.output;
}

}  // namespace
}  // namespace tests
