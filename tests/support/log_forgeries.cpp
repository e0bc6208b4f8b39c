#include "tests/support/log_forgeries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "crypto/transparency/audit_log_line.hpp"
#include "tests/support/forged_request.hpp"

namespace tests {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string text_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string name(std::size_t line) { return fmt::format("line {}", line + 1); }

bool names(const std::string& output, const std::string& words) {
  for (std::size_t at = output.find(words); at != std::string::npos; at = output.find(words, at + 1))
    if (at + words.size() == output.size() || output[at + words.size()] < '0' || output[at + words.size()] > '9') return true;
  return false;
}

}  // namespace

LogForgeries::LogForgeries() {
  rig_.provision();
  sign_one();
  older_ = read_text(rig_.state() / "log/audit.jsonl");
  sign_one();
  lines_ = lines_of(read_text(rig_.state() / "log/audit.jsonl"));
}

std::string LogForgeries::sign_one() {
  rig_.start_daemon();
  const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / fmt::format("host-{}", ++count_));
  request.into_inbox();
  rig_.wait_for_journal(request.id(), "waits for the officers");
  rig_.approve(request.id(), {ApplianceRig::officers()[0], ApplianceRig::officers()[2]});
  rig_.wait_for_response(request.id());
  rig_.stop_daemon();
  return request.id();
}

std::size_t LogForgeries::last_anchored() const {
  for (std::size_t i = lines_.size(); i-- > 0;)
    if (lines_[i].find("\"anchor\":\"provisional\"") == std::string::npos) return i;
  throw std::runtime_error("no line is anchored");
}

std::string LogForgeries::expect_refused(const std::string& text, const std::vector<std::string>& any_of, const std::string& what) const {
  const fs::path log = rig_.state() / "log/audit.jsonl";
  write_text(log, text);
  // Should it start after all, this ends it: that is an error then.
  const Finished outcome = run({"timeout", "20", program("coldseald"), "--root", rig_.root()});
  const std::string left = read_text(log);
  write_text(log, text_of(lines_));
  if (outcome.status != 1) return fmt::format("{}: coldseald ended with {}:\n{}", what, outcome.status, outcome.output);
  const bool is_named = std::any_of(any_of.begin(), any_of.end(), [&](const std::string& words) { return names(outcome.output, words); });
  if (!is_named) return fmt::format("{}: \"{}\" is not in:\n{}", what, any_of.front(), outcome.output);
  if (outcome.output.find("do not sign") == std::string::npos) return fmt::format("{}: it does not say what to do:\n{}", what, outcome.output);
  if (left != text) return what + ": the evidence was changed";
  return "";
}

std::string LogForgeries::change(std::size_t line, std::size_t byte) const {
  std::vector<std::string> forged = lines_;
  std::string& text = forged[line];
  text[byte % text.size()] = static_cast<char>(text[byte % text.size()] ^ 0x01);
  return expect_refused(text_of(forged), {name(line)}, fmt::format("byte {} of {}", byte % text.size(), name(line)));
}

std::string LogForgeries::remove(std::size_t line) const {
  std::vector<std::string> forged = lines_;
  forged.erase(forged.begin() + static_cast<std::ptrdiff_t>(line));
  return expect_refused(text_of(forged), {name(line)}, name(line) + " removed");
}

std::string LogForgeries::duplicate(std::size_t line) const {
  std::vector<std::string> forged = lines_;
  forged.insert(forged.begin() + static_cast<std::ptrdiff_t>(line), lines_[line]);
  return expect_refused(text_of(forged), {name(line + 1)}, name(line) + " twice");
}

std::string LogForgeries::swap_with_next(std::size_t line) const {
  std::vector<std::string> forged = lines_;
  std::swap(forged[line], forged[line + 1]);
  return expect_refused(text_of(forged), {name(line)}, name(line) + " and the next exchanged");
}

std::string LogForgeries::truncate_after(std::size_t line) const {
  const std::vector<std::string> forged(lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(line) + 1);
  return expect_refused(text_of(forged), {"lines are missing from " + name(line + 1)}, "the log ends after " + name(line));
}

std::string LogForgeries::cut_inside(std::size_t line, std::size_t byte) const {
  const std::vector<std::string> before(lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(line));
  const std::string left = lines_[line].substr(0, std::min(byte, lines_[line].size()));
  return expect_refused(text_of(before) + left, {"lines are missing from " + name(line)}, fmt::format("the log ends at byte {} of {}", left.size(), name(line)));
}

std::string LogForgeries::older_copy() const {
  return expect_refused(older_, {"lines are missing from " + name(lines_of(older_).size())}, "an older copy");
}

std::string LogForgeries::made_anew_without(std::size_t line) const {
  transparency::AuditChain chain;
  std::vector<std::string> anew;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    if (i == line) continue;
    const auto read = transparency::audit_line_from_json(lines_[i]);
    anew.push_back(chain.append(read->at, read->event, read->request, read->data).value());
  }
  return expect_refused(text_of(anew), {"audit log"}, "a chain made anew without " + name(line));
}

std::string LogForgeries::still_signs() {
  try {
    sign_one();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

}  // namespace tests
