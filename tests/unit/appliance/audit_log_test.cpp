#include "appliance/audit_log.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <sstream>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/anchored_lines.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;
using transparency::AuditEvent;

class AuditLogFile : public testing::Test {
 protected:
  AuditLog::Opened open() { return must(AuditLog::open(file, clock)); }

  // Three lines about one request, and the log closed again.
  std::vector<std::string> three_lines() {
    AuditLog::Opened opened = open();
    must(opened.log.append(AuditEvent::started, "", {{"version", "1"}}));
    must(opened.log.append(AuditEvent::received, id, {{"submitter", "build-1"}}));
    must(opened.log.append(AuditEvent::inspected, id, {}));
    return lines();
  }

  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::istringstream text(tests::read_text(file));
    for (std::string line; std::getline(text, line);) all.push_back(line);
    return all;
  }

  void write_lines(const std::vector<std::string>& all) const {
    std::string text;
    for (const std::string& line : all) text += line + "\n";
    tests::write_text(file, text);
  }

  void expect_refused(const std::string& words) const {
    const std::string before = tests::read_text(file);
    const auto opened = AuditLog::open(file, clock);
    ASSERT_FALSE(opened.has_value()) << "opened, but should say: " << words;
    EXPECT_EQ(static_cast<int>(opened.error().code()), static_cast<int>(Errc::mismatch)) << opened.error().text();
    EXPECT_NE(opened.error().text().find(words), std::string::npos) << opened.error().text();
    EXPECT_NE(opened.error().text().find("changed or damaged"), std::string::npos) << opened.error().text();
    EXPECT_EQ(tests::read_text(file), before);   // evidence stays as it was found
  }

  tests::TempDir folder;
  const std::filesystem::path file = folder / "log/audit.jsonl";
  StillClock clock;
  const std::string id = std::string(64, 'a');
};

TEST_F(AuditLogFile, WhatWasAppendedIsReplayedAfterARestart) {
  three_lines();
  AuditLog::Opened again = open();
  ASSERT_EQ(again.lines.size(), 3U);
  EXPECT_EQ(again.lines[0].event, AuditEvent::started);
  EXPECT_EQ(again.lines[1].event, AuditEvent::received);
  EXPECT_EQ(again.lines[1].request, id);
  EXPECT_EQ(again.lines[1].data.at("submitter"), "build-1");
  EXPECT_EQ(again.lines[2].index, 2U);
  EXPECT_EQ(again.log.lines(), 3U);
  // The chain goes on where it was, and stays one chain.
  must(again.log.append(AuditEvent::review_opened, id, {}));
  again = AuditLog::Opened{std::move(again.log), {}};
  const crypto::Digest head = again.log.head();
  { const AuditLog closed = std::move(again.log); }
  EXPECT_EQ(open().log.head(), head);
}

TEST_F(AuditLogFile, IsReadableByItsOwnerOnly) {
  three_lines();
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(AuditLogFile, ATornLastLineIsCutOffAndTheLogSaysSo) {
  const std::vector<std::string> whole = three_lines();
  for (const std::size_t length : {std::size_t{1}, whole[2].size() / 2, whole[2].size()}) {
    tests::write_text(file, whole[0] + "\n" + whole[1] + "\n" + whole[2].substr(0, length));
    const std::string as_found = tests::read_text(file);
    {
      AuditLog::Opened repaired = open();
      ASSERT_EQ(repaired.lines.size(), 2U);
      EXPECT_EQ(repaired.log.torn(), length);
      EXPECT_EQ(tests::read_text(file), as_found);   // until somebody knows that it fits its anchor
      const auto line = must(repaired.log.mend());
      ASSERT_TRUE(line);
      EXPECT_EQ(line->event, AuditEvent::recovered);
      EXPECT_EQ(line->data.at("bytes"), std::to_string(length));
      EXPECT_FALSE(must(repaired.log.mend()));
    }
    EXPECT_EQ(open().lines.size(), 3U);
    EXPECT_EQ(open().log.torn(), 0U);   // nothing is left to repair
    EXPECT_EQ(lines()[1], whole[1]);
  }
}

TEST_F(AuditLogFile, ATornFirstLineIsCutOffToo) {
  const std::vector<std::string> whole = three_lines();
  tests::write_text(file, whole[0].substr(0, 10));
  AuditLog::Opened repaired = open();
  EXPECT_TRUE(repaired.lines.empty());
  const auto line = must(repaired.log.mend());
  ASSERT_TRUE(line);
  EXPECT_EQ(line->event, AuditEvent::recovered);
  EXPECT_EQ(line->index, 0U);
}

TEST_F(AuditLogFile, MoreThanALineWithoutAnEndIsNotATornLine) {
  three_lines();
  tests::write_text(file, tests::read_text(file) + std::string(base::limits::kAuditLineBytes + 1, 'x'));
  expect_refused("line 4");
}

TEST_F(AuditLogFile, AnEditedLineIsRefused) {
  std::vector<std::string> all = three_lines();
  const std::size_t at = all[1].find("build-1");
  ASSERT_NE(at, std::string::npos);
  all[1][at + 6] = '2';
  write_lines(all);
  expect_refused("line 3");   // the line after it no longer continues it
}

TEST_F(AuditLogFile, ADeletedLineIsRefused) {
  std::vector<std::string> all = three_lines();
  for (const std::size_t gone : {std::size_t{0}, std::size_t{1}}) {
    std::vector<std::string> rest = all;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(gone));
    write_lines(rest);
    expect_refused("line " + std::to_string(gone + 1));
  }
}

TEST_F(AuditLogFile, ReorderedOrRepeatedLinesAreRefused) {
  const std::vector<std::string> all = three_lines();
  write_lines({all[0], all[2], all[1]});
  expect_refused("line 2");
  write_lines({all[0], all[1], all[1], all[2]});
  expect_refused("line 3");
}

TEST_F(AuditLogFile, AnEmptyLineAndALineOfNothingAreRefused) {
  const std::vector<std::string> all = three_lines();
  write_lines({all[0], "", all[1]});
  expect_refused("line 2");
  tests::write_text(file, all[0] + "\n" + std::string(100, '\0') + "\n");
  expect_refused("line 2");
}

// What coldseald does at its start: the chain, and then the TPM's word, which is the state that the whole log led to.
TEST_F(AuditLogFile, EverySingleByteThatIsChangedIsFoundAndItsLineOrTheNextIsNamed) {
  {
    AuditLog::Opened opened = open();
    const auto add = [&](AuditEvent event, std::map<std::string, std::string> data, const std::string& anchor = "provisional") {
      data["anchor"] = anchor;
      must(opened.log.append(event, event == AuditEvent::started ? "" : id, data));
    };
    add(AuditEvent::started, {{"version", "1"}, {"configuration", std::string(64, 'c')}});
    add(AuditEvent::received, {{"submitter", "build-1"}, {"profile", "release"}});
    add(AuditEvent::inspected, {{"inspection", std::string(64, 'd')}, {"signing-set", std::string(64, 'e')}, {"signatures", "3"}});
    add(AuditEvent::approval_started, {{"signing-set", std::string(64, 'e')}});
    add(AuditEvent::approved_by, {{"officer", "ada"}, {"method", "PIN"}}, "1");
    add(AuditEvent::approved_by, {{"officer", "ben"}, {"method", "PIN"}}, "2");
    add(AuditEvent::signing, {{"signing-set", std::string(64, 'e')}}, "3");
    add(AuditEvent::signed_, {{"outputs", std::string(64, 'f')}}, "4");
  }
  const crypto::Digest zeros = *crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, base::Bytes(32, 0));
  const auto tpm_state_of_the_log = [&]() -> base::Result<attest::AnchorState> {
    transparency::AnchoredLines anchored;
    TRY(AuditLog::open(file, clock, [&](const transparency::AuditLine& line, const crypto::Digest& digest) -> base::Result<void> {
      anchored.add(line, digest);
      return {};
    }));
    const transparency::AnchoredLines::Expected expected = TRY(anchored.expected({0, zeros, zeros}));
    return expected.state;
  };
  const std::string whole = tests::read_text(file);
  const attest::AnchorState seen = must(tpm_state_of_the_log());
  ASSERT_EQ(seen.count, 4U);
  const std::size_t last_line = whole.rfind('\n', whole.size() - 2) + 1;
  std::size_t line = 1;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ (at % 3 == 0 ? 0x01 : at % 3 == 1 ? 0x04 : 0x80));
    tests::write_text(file, changed);
    const auto state = tpm_state_of_the_log();
    if (!state) {
      const auto names = [&](std::size_t number) { return state.error().text().find("line " + std::to_string(number) + ":") != std::string::npos ||
                                                          state.error().text().find("line " + std::to_string(number) + " ") != std::string::npos ||
                                                          state.error().text().find("line " + std::to_string(number) + ";") != std::string::npos; };
      ASSERT_TRUE(names(line)) << "byte " << at << " of line " << line << ": " << state.error().text();
    } else {
      ASSERT_GE(at, last_line) << "byte " << at << " of line " << line << " is not missed by anybody";
      ASSERT_TRUE(state->count != seen.count || state->extended != seen.extended) << "byte " << at << " of the last line";
    }
    if (whole[at] == '\n') ++line;
  }
  tests::write_text(file, whole);
  EXPECT_TRUE(must(tpm_state_of_the_log()).extended == seen.extended);
}

TEST_F(AuditLogFile, IsHeldByOneProgramAtATime) {
  const AuditLog::Opened first = open();
  expect_error(AuditLog::open(file, clock), Errc::unavailable, "another coldseald holds the audit log");
}

TEST_F(AuditLogFile, IsNotFollowedThroughASymbolicLink) {
  three_lines();
  const std::filesystem::path elsewhere = folder / "elsewhere";
  std::filesystem::rename(file, elsewhere);
  std::filesystem::create_symlink(elsewhere, file);
  EXPECT_FALSE(AuditLog::open(file, clock).has_value());
}

TEST_F(AuditLogFile, AClockSetBackRepeatsTheLastTime) {
  AuditLog::Opened opened = open();
  const base::Time before = clock.time;
  must(opened.log.append(AuditEvent::started, "", {}));
  clock.time -= std::chrono::hours(24);
  EXPECT_EQ(opened.log.now(), before);
  EXPECT_EQ(must(opened.log.append(AuditEvent::started, "", {})).at, before);
  clock.time = before + std::chrono::seconds(5);
  EXPECT_EQ(must(opened.log.append(AuditEvent::started, "", {})).at, clock.time);
}

TEST_F(AuditLogFile, ALineOverTheLimitIsNotWritten) {
  three_lines();
  const std::string before = tests::read_text(file);
  AuditLog::Opened opened = open();
  EXPECT_FALSE(opened.log.append(AuditEvent::rejected, id, {{"reason", std::string(base::limits::kAuditLineBytes, 'x')}}).has_value());
  EXPECT_EQ(tests::read_text(file), before);
  must(opened.log.append(AuditEvent::started, "", {}));   // and the log goes on
}

// In a child of its own, because the limit stays.
int exit_status_of(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(AuditLogFile, AFullDiskLeavesNoHalfLineAndTheLogGoesOnWhenThereIsRoom) {
  three_lines();
  const std::string before = tests::read_text(file);
  const int status = exit_status_of([&]() -> int {
    AuditLog::Opened opened = open();
    const crypto::Digest head = opened.log.head();
    // Room for a part of the next line: the kernel writes that part, then says no.
    (void)signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    const rlimit small{before.size() + 20, limit.rlim_max};
    if (setrlimit(RLIMIT_FSIZE, &small) != 0) return 2;
    if (opened.log.append(AuditEvent::inspected, id, {}).has_value()) return 3;
    if (tests::read_text(file) != before) return 4;
    if (opened.log.head() != head || opened.log.lines() != 3) return 5;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 6;
    return opened.log.append(AuditEvent::inspected, id, {}).has_value() ? 0 : 7;
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(open().lines.size(), 4U);
}

}  // namespace
}  // namespace appliance
