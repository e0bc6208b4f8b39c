#include "usb/mass_storage/stick.hpp"
#include "usb/files/partial_parcel.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/base/limits.hpp"
#include "tests/support/parcels.hpp"
#include "tests/support/temp_dir.hpp"

namespace mass_storage {
namespace {

using base::Bytes;
using base::Errc;
namespace fs = std::filesystem;

const std::string kId = tests::some_id('a');

struct Gap {   // a stick and the appliance's folders
  tests::TempDir dir;
  fs::path stick_folder = dir / "stick";
  fs::path requests = stick_folder / "coldseal/requests";
  fs::path responses = stick_folder / "coldseal/responses";
  fs::path inbox = dir / "inbox";
  fs::path outbox = dir / "outbox";
  Gap() {
    fs::create_directories(stick_folder);
    fs::create_directories(outbox);
  }
  Stick stick() const { return Stick::open(stick_folder).value(); }
};

std::map<std::string, Bytes> some_package() {
  return {{"driver.inf", tests::some_bytes(3000, 1)}, {"amd64/driver.sys", tests::some_bytes(2'000'000, 2)}, {"B.txt", {}}};
}

TEST(Stick, ShowsOnlyFoldersNamedByAnId) {
  const Gap gap;
  EXPECT_TRUE(gap.stick().requests()->empty());
  tests::make_request(gap.requests, kId, {});
  fs::create_directories(gap.requests / (kId + ".part"));
  fs::create_directories(gap.requests / "System Volume Information");
  EXPECT_EQ(*gap.stick().requests(), std::vector<std::string>{kId});
}

TEST(Stick, BringsARequestToTheInboxWhole) {
  const Gap gap;
  tests::make_request(gap.requests, kId, some_package());
  tests::write_text(gap.requests / kId / "Thumbs.db", "junk that Windows left");
  const auto taken = gap.stick().take_request(kId, gap.inbox);
  ASSERT_TRUE(taken) << taken.error().text();
  EXPECT_EQ(*taken, Outcome::copied);
  auto expected = tests::all_files(gap.requests / kId);
  expected.erase("Thumbs.db");
  EXPECT_EQ(tests::all_files(gap.inbox / kId), expected);
  EXPECT_EQ(*gap.stick().take_request(kId, gap.inbox), Outcome::already_there);
}

TEST(Stick, NeverShowsAHalfReceivedRequestUnderItsId) {
  const Gap gap;
  tests::make_request(gap.requests, kId, some_package());
  std::size_t pieces = 0;
  const auto taken = gap.stick().take_request(kId, gap.inbox, [&](const usb::Progress& progress) {
    ++pieces;
    EXPECT_FALSE(fs::exists(gap.inbox / kId));
    EXPECT_TRUE(fs::exists(gap.inbox / (kId + ".part")));
    EXPECT_LE(progress.done, progress.total);
    return base::Result<void>();
  });
  ASSERT_TRUE(taken) << taken.error().text();
  EXPECT_GT(pieces, 2U);

  tests::make_request(gap.requests, tests::some_id('b'), some_package());
  const auto stopped = gap.stick().take_request(tests::some_id('b'), gap.inbox, [](const usb::Progress&) {
    return base::Result<void>(base::fail(Errc::unavailable, "stop"));
  });
  EXPECT_FALSE(stopped);
  EXPECT_FALSE(fs::exists(gap.inbox / tests::some_id('b')));
  EXPECT_FALSE(fs::exists(gap.inbox / (tests::some_id('b') + ".part")));
}

TEST(Stick, TakesOverWhatACrashLeftInTheInbox) {
  const Gap gap;
  tests::make_request(gap.requests, kId, some_package());
  tests::write_text(gap.inbox / (kId + ".part") / "files/stale", "x");
  ASSERT_TRUE(gap.stick().take_request(kId, gap.inbox));
  EXPECT_EQ(tests::all_files(gap.inbox / kId), tests::all_files(gap.requests / kId));
  EXPECT_FALSE(fs::exists(gap.inbox / (kId + ".part")));
}

TEST(Stick, RefusesLinksPipesAndForbiddenNamesAndKeepsNothing) {
  const std::vector<std::pair<const char*, std::function<void(const fs::path&)>>> cases = {
      {"link in files", [](const fs::path& at) { fs::create_symlink("/etc/passwd", at / "files/link"); }},
      {"pipe in files", [](const fs::path& at) { ::mkfifo((at / "files/pipe").c_str(), 0600); }},
      {"files is a link", [](const fs::path& at) {
         fs::remove_all(at / "files");
         fs::create_directory_symlink("/etc", at / "files");
       }},
      {"manifest is a link", [](const fs::path& at) {
         fs::rename(at / "request.dsse.json", at / "x");
         fs::create_symlink("x", at / "request.dsse.json");
       }},
      {"manifest is a folder", [](const fs::path& at) {
         fs::remove(at / "request.dsse.json");
         fs::create_directory(at / "request.dsse.json");
       }},
      {"name with a backslash", [](const fs::path& at) { tests::write_text(at / "files/a\\b", ""); }},
      {"name with a line break", [](const fs::path& at) { tests::write_text(at / "files/a\nb", ""); }},
      {"device name", [](const fs::path& at) { tests::write_text(at / "files/NUL.sys", ""); }},
      {"names differing in case", [](const fs::path& at) {
         tests::write_text(at / "files/A", "");
         tests::write_text(at / "files/a", "");
       }},
  };
  for (const auto& [what, spoil] : cases) {
    const Gap gap;
    tests::make_request(gap.requests, kId, {{"ok", {}}});
    spoil(gap.requests / kId);
    const auto taken = gap.stick().take_request(kId, gap.inbox);
    ASSERT_FALSE(taken) << what;
    EXPECT_TRUE(taken.error().code() == Errc::refused || taken.error().code() == Errc::malformed) << taken.error().text();
    EXPECT_TRUE(tests::all_files(gap.inbox).empty()) << what;
    EXPECT_FALSE(fs::exists(gap.inbox / (kId + ".part"))) << what;
  }
}

TEST(Stick, TakesNoMoreThanTheInboxMayHold) {
  const Gap gap;
  for (std::size_t i = 0; i < base::limits::kRequestsWaiting; ++i) {
    std::string id = std::to_string(1000 + i);
    fs::create_directories(gap.inbox / (std::string(64 - id.size(), '0') + id));
  }
  tests::make_request(gap.requests, kId, {});
  EXPECT_EQ(gap.stick().take_request(kId, gap.inbox).error().code(), Errc::unavailable);
}

TEST(Stick, GetsAResponseOnceAndANewerOneInItsPlace) {
  const Gap gap;
  tests::make_response(gap.outbox, kId, {}, "{refused}");
  EXPECT_EQ(gap.stick().deliver_response(kId, gap.outbox)->outcome, Outcome::copied);
  EXPECT_EQ(gap.stick().deliver_response(kId, gap.outbox)->outcome, Outcome::already_there);
  fs::remove_all(gap.outbox / kId);
  tests::make_response(gap.outbox, kId, some_package(), "{signed}");
  EXPECT_EQ(gap.stick().deliver_response(kId, gap.outbox)->outcome, Outcome::copied);
  EXPECT_EQ(tests::all_files(gap.responses), tests::all_files(gap.outbox));
  // The receipt is right, but somebody has deleted a signed file.
  fs::remove(gap.responses / kId / "files/driver.inf");
  EXPECT_EQ(gap.stick().deliver_response(kId, gap.outbox)->outcome, Outcome::copied);
  EXPECT_EQ(tests::all_files(gap.responses), tests::all_files(gap.outbox));
}

TEST(Stick, GetsAWholeResponseInPlaceOfOneThatIsDamagedAndIsSaidToHaveItsReceipt) {
  const Gap gap;
  tests::make_response(gap.outbox, kId, some_package(), "{signed}");
  const auto first = gap.stick().deliver_response(kId, gap.outbox);
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_EQ(first->receipt, crypto::sha256(base::as_bytes("{signed}")));
  // One bit of a signed file; its name, its size and the receipt are as they were.
  Bytes flipped = tests::read_file(gap.responses / kId / "files/amd64/driver.sys");
  flipped[1'500'000] ^= 1U;
  tests::write_file(gap.responses / kId / "files/amd64/driver.sys", flipped);
  EXPECT_EQ(gap.stick().deliver_response(kId, gap.outbox)->outcome, Outcome::copied);
  EXPECT_EQ(tests::all_files(gap.responses), tests::all_files(gap.outbox));
  // The host does the same with what it has.
  ASSERT_TRUE(gap.stick().collect_response(kId, gap.dir / "out"));
  tests::write_file(gap.dir / "out" / kId / "files/amd64/driver.sys", flipped);
  EXPECT_EQ(*gap.stick().collect_response(kId, gap.dir / "out"), Outcome::copied);
  EXPECT_EQ(tests::all_files(gap.dir / "out"), tests::all_files(gap.responses));
}

TEST(Stick, WithALinkInPlaceOfItsFoldersIsNotWrittenTo) {
  const Gap gap;
  tests::make_response(gap.outbox, kId, some_package());
  fs::create_directories(gap.dir / "elsewhere");
  fs::create_directory_symlink(gap.dir / "elsewhere", gap.stick_folder / "coldseal");
  EXPECT_EQ(gap.stick().deliver_response(kId, gap.outbox).error().code(), Errc::refused);
  EXPECT_TRUE(fs::is_empty(gap.dir / "elsewhere"));
}

TEST(Stick, ThatIsFullKeepsTheOlderAnswerAndTheOutboxAndTakesTheNextAttempt) {
  const Gap gap;
  if (::mount("tmpfs", gap.stick_folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m") != 0) {
    ASSERT_NE(geteuid(), 0U) << "root, but a tmpfs cannot be mounted: the full stick is not tested";
    GTEST_SKIP() << "mounting a small tmpfs needs root: the full stick is not tested";
  }
  struct Unmount {
    fs::path at;
    ~Unmount() { ::umount2(at.c_str(), MNT_DETACH); }
  } unmount{gap.stick_folder};
  tests::make_response(gap.responses, kId, {}, "{older}");
  tests::make_response(gap.outbox, kId, some_package());
  const auto before = tests::all_files(gap.outbox);
  const auto delivered = gap.stick().deliver_response(kId, gap.outbox);
  ASSERT_FALSE(delivered);
  EXPECT_EQ(delivered.error().code(), Errc::no_space);
  EXPECT_NE(delivered.error().text().find("bytes needed"), std::string::npos) << delivered.error().text();
  EXPECT_EQ(tests::read_text(gap.responses / kId / "receipt.dsse.json"), "{older}");
  EXPECT_FALSE(fs::exists(gap.responses / (kId + ".part")));
  EXPECT_EQ(tests::all_files(gap.outbox), before);

  // Announced to fit, but it does not: the write itself must notice (ENOSPC), and leave nothing.
  auto writer = usb::ParcelWriter::begin(gap.responses, tests::some_id('b'), usb::ParcelKind::response);
  ASSERT_TRUE(writer) << writer.error().text();
  const Bytes bytes = tests::some_bytes(2'000'000, 1);
  ASSERT_TRUE(writer->begin_file("files/a.sys", bytes.size()));
  base::Result<void> written = writer->write(bytes);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), Errc::no_space) << written.error().text();
  { const usb::ParcelWriter gone = std::move(*writer); }
  EXPECT_FALSE(fs::exists(gap.responses / (tests::some_id('b') + ".part")));

  ASSERT_EQ(::mount("tmpfs", gap.stick_folder.c_str(), "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV, "size=8m"), 0);
  const auto again = gap.stick().deliver_response(kId, gap.outbox);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(tests::all_files(gap.responses / kId), tests::all_files(gap.outbox / kId));
}

TEST(Stick, CarriesARequestFromTheHostAndItsResponseBack) {
  const Gap gap;
  for (const auto& [path, bytes] : some_package()) tests::write_file(gap.dir / "package" / path, bytes);
  tests::write_text(gap.dir / "package/not-listed.txt", "stays at home");
  const std::vector<std::string> paths = {"driver.inf", "amd64/driver.sys", "B.txt"};
  const auto put = gap.stick().put_request(kId, base::as_bytes("{a manifest}"), gap.dir / "package", paths);
  ASSERT_TRUE(put) << put.error().text();
  tests::make_request(gap.dir / "expected", kId, some_package());
  EXPECT_EQ(tests::all_files(gap.requests), tests::all_files(gap.dir / "expected"));
  EXPECT_EQ(*gap.stick().put_request(kId, base::as_bytes("{a manifest}"), gap.dir / "package", paths),
            Outcome::already_there);

  tests::make_response(gap.responses, kId, some_package());
  EXPECT_EQ(*gap.stick().responses(), std::vector<std::string>{kId});
  EXPECT_EQ(*gap.stick().collect_response(kId, gap.dir / "out"), Outcome::copied);
  EXPECT_EQ(tests::all_files(gap.dir / "out"), tests::all_files(gap.responses));
  EXPECT_EQ(*gap.stick().collect_response(kId, gap.dir / "out"), Outcome::already_there);
  EXPECT_EQ(gap.stick().collect_response(tests::some_id('c'), gap.dir / "out").error().code(), Errc::not_found);
}

TEST(Parcel, IsReceivedOverOneCableAtATime) {
  const Gap gap;
  auto first = usb::ParcelWriter::begin(gap.inbox, kId, usb::ParcelKind::request);
  ASSERT_TRUE(first);
  EXPECT_EQ(usb::ParcelWriter::begin(gap.inbox, kId, usb::ParcelKind::request).error().code(), Errc::unavailable);
  { const usb::ParcelWriter gone = std::move(*first); }
  EXPECT_TRUE(usb::ParcelWriter::begin(gap.inbox, kId, usb::ParcelKind::request));
}

TEST(Parcel, LeftUnfinishedByACrashIsRemovedButNotOneUnderWay) {
  const Gap gap;
  tests::write_text(gap.inbox / (tests::some_id('b') + ".part") / "files/x", "left");
  tests::make_request(gap.inbox, tests::some_id('c'), {});
  auto under_way = usb::ParcelWriter::begin(gap.inbox, kId, usb::ParcelKind::request);
  ASSERT_TRUE(under_way);
  ASSERT_TRUE(usb::prune_unfinished(gap.inbox, 8, 0));
  EXPECT_FALSE(fs::exists(gap.inbox / (tests::some_id('b') + ".part")));
  EXPECT_TRUE(fs::exists(gap.inbox / tests::some_id('c')));
  EXPECT_TRUE(fs::exists(gap.inbox / (kId + ".part")));
}

TEST(Parcel, LooksDifferentOnceAFileHasChanged) {
  const Gap gap;
  tests::make_request(gap.requests, kId, some_package());
  const auto before = gap.stick().request(kId)->fingerprint();
  EXPECT_EQ(*gap.stick().request(kId)->fingerprint(), *before);
  tests::write_text(gap.requests / kId / "files/B.txt", "longer");
  EXPECT_NE(*gap.stick().request(kId)->fingerprint(), *before);
}

TEST(Parcel, UnderANameThatIsNoIdIsRefused) {
  const Gap gap;
  for (const char* id : {"", ".", "..", "../../etc", "a/b"})
    EXPECT_EQ(usb::ParcelWriter::begin(gap.inbox, id, usb::ParcelKind::request).error().code(), Errc::refused) << id;
}

}  // namespace
}  // namespace mass_storage
