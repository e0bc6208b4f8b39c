// An inspector that is not one: does what the end of its own file says (tests/support/inspector_double.hpp writes it), as a
// taken-over inspector would. It is run by the real coldseald code, within all that coldseald puts around an inspector.
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/inspector_process.hpp"

namespace {

void say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(STDOUT_FILENO, text.data(), text.size());
    if (count <= 0) _exit(1);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string all_of(int descriptor) {
  std::string text;
  std::array<char, 65536> piece{};
  for (ssize_t count = 0; (count = read(descriptor, piece.data(), piece.size())) > 0;) text.append(piece.data(), static_cast<std::size_t>(count));
  return text;
}

// What the end of the file says: after the last occurrence of the mark.
std::string orders(const char* self) {
  const int file = open(self, O_RDONLY | O_CLOEXEC);
  const std::string text = file < 0 ? std::string() : all_of(file);
  close(file);
  const std::string mark = std::string("INSPECTOR") + "-DOUBLE:";   // in two pieces, not to be found in the program itself
  const std::size_t at = text.rfind(mark);
  return at == std::string::npos ? std::string() : text.substr(at + mark.size());
}

void wait_a_little() {
  static int word = 0;
  const timespec moment{0, 100'000'000};
  (void)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &moment, nullptr, 0);   // sleeping otherwise is not allowed
}

void try_call(std::string_view name) {
  if (name == "socket") (void)socket(AF_INET, SOCK_STREAM, 0);
  if (name == "local-socket") (void)socket(AF_UNIX, SOCK_STREAM, 0);
  if (name == "fork" && fork() == 0) _exit(0);
  if (name == "ptrace") (void)ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  if (name == "kill") (void)kill(getppid(), SIGTERM);
  if (name == "signal-parent") (void)syscall(SYS_tgkill, getppid(), getppid(), SIGTERM);
  if (name == "passwd") {
    const int file = open("/etc/passwd", O_RDONLY);
    say(file < 0 ? std::strerror(errno) : all_of(file));
  }
  if (name == "execute") {
    char* const arguments[] = {nullptr};
    (void)execve("/bin/true", arguments, arguments);
    say(std::strerror(errno));
  }
  if (name == "write-file") (void)open("/tmp/written-by-an-inspector", O_WRONLY | O_CREAT, 0600);
  if (name == "become-root") (void)setuid(0);
  if (name == "thread") say(syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, nullptr, nullptr, nullptr, nullptr) < 0 ? std::strerror(errno) : "runs");
}

void show(std::string_view what, int argc, char** argv) {
  if (what == "arguments")
    for (int i = 1; i < argc; ++i) say(std::string(argv[i]) + "|");
  if (what == "environment")
    for (char** word = environ; *word != nullptr; ++word) say(*word);
  if (what == "list") say(all_of(STDIN_FILENO));
  if (what == "first-file") {
    const std::string list = all_of(STDIN_FILENO);
    say(all_of(std::atoi(list.c_str())));
  }
  if (what == "descriptors")
    for (int i = 0; i < 1024; ++i)
      if (fcntl(i, F_GETFD) >= 0) say(std::to_string(i) + "\n");
}

void misbehave(std::string_view how) {
  if (how == "flood")
    for (;;) say(std::string(65536, 'x'));
  if (how == "spin")
    for (;;) (void)syscall(SYS_getpid);   // one that is allowed
  if (how == "silent")
    for (;;) wait_a_little();
  if (how == "drip")
    for (;;) {
      say("x");
      wait_a_little();
    }
  if (how == "hang-up") {   // says all it has to say, and stays
    close(STDOUT_FILENO);
    for (;;) wait_a_little();
  }
  if (how == "allocate")
    for (std::vector<char*> pieces;;) pieces.push_back(new char[16U << 20U]());
}

}  // namespace

int main(int argc, char** argv) {
  std::set_new_handler([] { _exit(appliance::kInspectorOutOfMemory); });
  const std::string text = orders(argv[0]);
  std::string_view order = text;
  if (order.starts_with("confined ")) {   // as the real one once its files are open
    order.remove_prefix(9);
    if (!appliance::confine_inspector()) _exit(2);
  }
  const std::size_t space = order.find(' ');
  const std::string_view verb = order.substr(0, space);
  const std::string_view rest = space == std::string_view::npos ? std::string_view() : order.substr(space + 1);
  if (verb == "answer") say(rest);
  if (verb == "call") try_call(rest);
  if (verb == "show") show(rest, argc, argv);
  if (verb == "misbehave") misbehave(rest);
  if (verb == "signal") (void)raise(std::atoi(std::string(rest).c_str()));
  _exit(verb == "exit" ? std::atoi(std::string(rest).c_str()) : 0);
}
