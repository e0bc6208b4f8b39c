#include "crypto/base/command_line.hpp"

#include <CLI/CLI.hpp>
#include <utility>

namespace base {

CommandOption& CommandOption::required() {
  option_->required();
  return *this;
}

CommandOption& CommandOption::excludes(const CommandOption& other) {
  option_->excludes(other.option_);
  return *this;
}

CommandOption& CommandOption::shows_default() {
  option_->capture_default_str();
  return *this;
}

CommandOption& CommandOption::existing_folder() {
  option_->check(CLI::ExistingDirectory);
  return *this;
}

CommandOption& CommandOption::one_each_time() {
  option_->allow_extra_args(false);
  return *this;
}

CommandOption& CommandOption::value_may_be_missing() {
  option_->expected(0, 1);
  return *this;
}

CommandOption& CommandOption::type_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}

bool CommandOption::was_given() const { return option_->count() > 0; }

Command Command::sub(const std::string& name, const std::string& description) {
  return Command(app_->add_subcommand(name, description));
}

CommandOption Command::option(const std::string& names, std::string& value, const std::string& help) {
  return CommandOption(app_->add_option(names, value, help));
}

CommandOption Command::option(const std::string& names, std::vector<std::string>& values, const std::string& help) {
  return CommandOption(app_->add_option(names, values, help));
}

CommandOption Command::option(const std::string& names, unsigned& value, const std::string& help) {
  return CommandOption(app_->add_option(names, value, help));
}

CommandOption Command::option(const std::string& names, std::size_t& value, const std::string& help) {
  return CommandOption(app_->add_option(names, value, help));
}

CommandOption Command::flag(const std::string& names, bool& value, const std::string& help) {
  return CommandOption(app_->add_flag(names, value, help));
}

void Command::needs_sub() { app_->require_subcommand(1); }

void Command::takes_sub() { app_->require_subcommand(0, 1); }

void Command::footer(const std::string& text) { app_->footer(text); }

void Command::when_chosen(std::function<void()> action) { app_->callback(std::move(action)); }

bool Command::was_chosen() const { return app_->parsed(); }

bool Command::has_chosen_sub() const { return !app_->get_subcommands().empty(); }

CommandLine::CommandLine(const std::string& description, const std::string& program, const std::string& version)
    : Command(nullptr), owned_(std::make_unique<CLI::App>(description, program)) {
  app_ = owned_.get();
  if (!version.empty()) app_->set_version_flag("--version", version);
}

CommandLine::~CommandLine() = default;

std::optional<int> CommandLine::parse(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {   // CLI11 throws, for --help and --version too
    return app_->exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}

}  // namespace base
