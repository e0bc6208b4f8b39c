#include "tests/support/swtpm.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "crypto/base/result.hpp"

namespace tests {
namespace {

bool answers(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size());
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  const bool connected = connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  (void)close(descriptor);
  return connected;
}

}  // namespace

Swtpm::Swtpm() : state_(folder_ / "state") {
  std::filesystem::create_directories(state_);
  start();
}

Swtpm::Swtpm(const std::filesystem::path& state) : state_(std::filesystem::absolute(state)) {
  std::filesystem::create_directories(state_);
  start();
}

Swtpm::~Swtpm() { kill(); }

std::string Swtpm::tcti() const { return "swtpm:path=" + (folder_ / "tpm").string(); }

void Swtpm::start() {
  base::require(process_ < 0, "swtpm runs already");
  const std::string server = (folder_ / "tpm").string();
  const std::string control = server + ".ctrl";   // where tss2's swtpm TCTI looks for it
  base::require(control.size() < sizeof(sockaddr_un::sun_path), "the path of a unix socket is too long: " + control);
  std::filesystem::remove(server);
  std::filesystem::remove(control);
  std::vector<std::string> words = {
      "swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + state_.string(), "--server", "type=unixio,path=" + server,
      "--ctrl", "type=unixio,path=" + control, "--flags", "not-need-init,startup-clear"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const std::string output = (folder_ / "output").string();
  process_ = fork();
  base::require(process_ >= 0, "no process for swtpm");
  if (process_ == 0) {
    // Only system calls from here on: another thread may have held a lock at the fork.
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);   // a test that crashes or is killed leaves no swtpm behind
    const int nothing = open("/dev/null", O_RDONLY);
    const int log = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (dup2(nothing, 0) == 0 && dup2(log, 1) == 1 && dup2(log, 2) == 2) execvp("swtpm", arguments.data());
    constexpr std::string_view kMissing = "swtpm is not installed\n";
    (void)!write(2, kMissing.data(), kMissing.size());
    _exit(127);
  }

  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!answers(server) || !answers(control)) {
    const bool ended = waitpid(process_, nullptr, WNOHANG) != 0;
    if (ended || std::chrono::steady_clock::now() > give_up) {
      if (ended) process_ = -1;
      base::stop("swtpm does not start: " + read_text(folder_ / "output"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void Swtpm::end(int signal) {
  const pid_t process = std::exchange(process_, -1);
  if (process < 0) return;
  (void)::kill(process, signal);
  (void)waitpid(process, nullptr, 0);
}

void Swtpm::kill() { end(SIGKILL); }

void Swtpm::power_cut() {
  end(SIGKILL);
  start();
}

void Swtpm::reset() {
  end(SIGTERM);
  start();
}

}  // namespace tests
