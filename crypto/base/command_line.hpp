// Command lines of every program, one way: CLI11 behind a narrow face, so that its large header is parsed once.
// Variables that options write to must live until parse() has returned.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}

namespace base {

// One option, flag or positional argument. Valid as long as its CommandLine.
class CommandOption {
 public:
  explicit CommandOption(CLI::Option* option) : option_(option) {}

  CommandOption& required();
  CommandOption& excludes(const CommandOption& other);
  CommandOption& shows_default();            // --help shows the variable's present value
  CommandOption& existing_folder();          // anything else is wrong usage
  CommandOption& one_each_time();            // --name A --name B; what follows A is not another value
  CommandOption& value_may_be_missing();     // --name and --name=VALUE
  CommandOption& type_name(const std::string& name);   // what --help calls the value
  bool was_given() const;

 private:
  CLI::Option* option_;
};

// A program or one of its subcommands. names: "--name", "-n,--name", or "NAME" for a positional argument.
class Command {
 public:
  Command(const Command&) = default;
  Command& operator=(const Command&) = default;

  Command sub(const std::string& name, const std::string& description);
  CommandOption option(const std::string& names, std::string& value, const std::string& help);
  CommandOption option(const std::string& names, std::vector<std::string>& values, const std::string& help);
  CommandOption option(const std::string& names, unsigned& value, const std::string& help);
  CommandOption option(const std::string& names, std::size_t& value, const std::string& help);
  CommandOption flag(const std::string& names, bool& value, const std::string& help);

  void needs_sub();                       // exactly one subcommand
  void takes_sub();                       // at most one; what was mistyped is named
  void footer(const std::string& text);   // examples, below the help
  void when_chosen(std::function<void()> action);   // after everything was parsed
  bool was_chosen() const;
  bool has_chosen_sub() const;

 protected:
  explicit Command(CLI::App* app) : app_(app) {}
  CLI::App* app_;
};

class CommandLine : public Command {
 public:
  CommandLine(const std::string& description, const std::string& program, const std::string& version = "");
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // The exit status when the program is done already: 0 after --help and --version, 2 after wrong usage (said on stderr).
  std::optional<int> parse(int argc, const char* const* argv);

 private:
  std::unique_ptr<CLI::App> owned_;
};

}  // namespace base
