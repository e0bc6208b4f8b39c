#include "usb/files/safe_write.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/support/parcels.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/files/file_source.hpp"

namespace usb {
namespace {

using base::Bytes;
using base::Errc;
namespace fs = std::filesystem;

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(SafeWrite, WritesAFileAndReturnsItsDigest) {
  const tests::TempDir dir;
  const Bytes bytes = tests::some_bytes(3'000'000, 1);
  const auto digest = write_file(dir / "a", bytes);
  ASSERT_TRUE(digest) << digest.error().text();
  EXPECT_EQ(*digest, crypto::sha256(bytes));
  EXPECT_EQ(tests::read_file(dir / "a"), bytes);
  EXPECT_EQ(entries(dir.path()), 1U);
}

TEST(SafeWrite, ReplacesAFileOnlyOnCommit) {
  const tests::TempDir dir;
  tests::write_text(dir / "a", "old");
  {
    auto writer = FileWriter::create(dir / "a");
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->write(base::as_bytes("new")));
    EXPECT_EQ(tests::read_text(dir / "a"), "old");
  }
  EXPECT_EQ(tests::read_text(dir / "a"), "old");
  EXPECT_EQ(entries(dir.path()), 1U);
  ASSERT_TRUE(write_file(dir / "a", base::as_bytes("new")));
  EXPECT_EQ(tests::read_text(dir / "a"), "new");
}

TEST(SafeWrite, DoesNotFollowALinkLeftWhereItsPartGoes) {
  const tests::TempDir dir;
  tests::write_text(dir / "precious", "untouched");
  fs::create_symlink(dir / "precious", dir / "a.part");
  ASSERT_TRUE(write_file(dir / "a", base::as_bytes("new")));
  EXPECT_EQ(tests::read_text(dir / "precious"), "untouched");
  EXPECT_EQ(tests::read_text(dir / "a"), "new");
}

TEST(SafeWrite, RemovesAFolderSoThatItsNameNeverShowsAPartOfIt) {
  const tests::TempDir dir;
  tests::write_text(dir / "a/files/x", "x");
  tests::write_text(dir / "a.gone/left", "by an earlier attempt");
  const auto removed = remove_folder(dir / "a");
  ASSERT_TRUE(removed) << removed.error().text();
  EXPECT_EQ(entries(dir.path()), 0U);
  EXPECT_TRUE(remove_folder(dir / "a"));   // there is none
  if (geteuid() != 0) GTEST_SKIP() << "a file that cannot be removed needs a mount, and root";
  tests::write_text(dir / "b/files/x", "x");
  fs::create_directories(dir / "b/mount");
  ASSERT_EQ(::mount("tmpfs", (dir / "b/mount").c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=64k"), 0);
  EXPECT_FALSE(remove_folder(dir / "b"));
  EXPECT_FALSE(fs::exists(dir / "b"));
  ASSERT_EQ(::umount2((dir / "b.gone/mount").c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(remove_folder(dir / "b"));   // and now it goes wholly
  EXPECT_EQ(entries(dir.path()), 0U);
}

TEST(SafeWrite, ReplacesNoFolderDeviceOrLink) {
  const tests::TempDir dir;
  fs::create_directory(dir / "folder");
  tests::write_text(dir / "folder/file", "kept");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  fs::create_symlink(dir / "folder/file", dir / "link");
  for (const char* const name : {"folder", "fifo", "link"}) {
    const auto refused = write_file(dir / name, base::as_bytes("new"));
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code(), base::Errc::refused) << refused.error().text();
    EXPECT_FALSE(fs::exists(dir / (std::string(name) + ".part")));
  }
  EXPECT_EQ(tests::read_text(dir / "folder/file"), "kept");
  EXPECT_TRUE(fs::is_symlink(dir / "link"));
  EXPECT_TRUE(fs::is_fifo(dir / "fifo"));
}

TEST(SafeWrite, NeedsItsFolder) {
  const tests::TempDir dir;
  const auto written = write_file(dir / "missing/a", base::as_bytes("x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), Errc::not_found);
}

TEST(SafeWrite, NoticesBytesThatChangedOnTheMedium) {
  const tests::TempDir dir;
  auto writer = FileWriter::create(dir / "a");
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->write(tests::some_bytes(100'000, 1)));
  {   // what a failing stick does
    FILE* part = std::fopen((dir / "a.part").c_str(), "r+");
    ASSERT_NE(part, nullptr);
    std::fseek(part, 50'000, SEEK_SET);
    std::fputs("not what was written", part);
    std::fclose(part);
  }
  const auto committed = writer->commit();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code(), Errc::io);
  EXPECT_FALSE(fs::exists(dir / "a"));
}

// A file system of 1 MiB. Mounting one needs root; without, /dev/full stands in for it where it can.
class SmallDisk {
 public:
  explicit SmallDisk(const fs::path& at) : at_(at) {
    fs::create_directories(at_);
    mounted_ = ::mount("tmpfs", at_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  fs::path at_;
  bool mounted_ = false;
};

TEST(SafeWrite, OnAFullMediumSaysSoAndLeavesNothing) {
  const tests::TempDir dir;
  const SmallDisk disk(dir / "disk");
  if (!disk.mounted()) {
    ASSERT_NE(geteuid(), 0U) << "root, but a tmpfs cannot be mounted: the full medium is not tested";
    GTEST_SKIP() << "mounting a small tmpfs needs root: the full medium is not tested";
  }
  tests::write_text(dir / "disk/old", "old");
  const Bytes bytes = tests::some_bytes(3'000'000, 1);
  const auto written = write_file(dir / "disk/old", bytes);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), Errc::no_space);
  EXPECT_NE(written.error().text().find("more bytes needed"), std::string::npos) << written.error().text();
  EXPECT_EQ(tests::read_text(dir / "disk/old"), "old");
  EXPECT_EQ(entries(dir / "disk"), 1U);
  const base::MemorySource source(bytes);
  EXPECT_FALSE(copy_file(source, dir / "disk/new"));
  EXPECT_EQ(entries(dir / "disk"), 1U);
}

TEST(SafeWrite, ReadsAFileUnderALimit) {
  const tests::TempDir dir;
  tests::write_text(dir / "a", "12345");
  EXPECT_EQ(read_file(dir / "a", 5).value().size(), 5U);
  EXPECT_EQ(read_file(dir / "a", 4).error().code(), Errc::too_large);
  EXPECT_EQ(read_file(dir / "b", 4).error().code(), Errc::not_found);
}

TEST(MakeFolders, MakesEachFolderForItsOwnerAlone) {
  const tests::TempDir dir;
  ASSERT_TRUE(make_folders(dir / "a/b/c"));
  ASSERT_TRUE(make_folders(dir / "a/b/c/"));
  EXPECT_EQ(fs::status(dir / "a/b").permissions(), fs::perms::owner_all);
  tests::write_text(dir / "file", "");
  EXPECT_FALSE(make_folders(dir / "file"));
  EXPECT_FALSE(make_folders(dir / "file/below"));
}

TEST(RenameDurably, RefusesWhatIsThereUnlessItMayBeReplaced) {
  const tests::TempDir dir;
  tests::write_text(dir / "new/x", "new");
  tests::write_text(dir / "old/x", "old");
  tests::write_text(dir / "old/y", "old");
  const auto refused = rename_durably(dir / "new", dir / "old");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::refused);
  EXPECT_EQ(tests::read_text(dir / "old/x"), "old");
  ASSERT_TRUE(rename_durably(dir / "new", dir / "old", IfThere::replace));
  EXPECT_EQ(tests::read_text(dir / "old/x"), "new");
  EXPECT_EQ(entries(dir.path()), 1U);
  EXPECT_FALSE(fs::exists(dir / "old/y"));
  ASSERT_TRUE(rename_durably(dir / "old", dir / "third", IfThere::replace));
  EXPECT_EQ(tests::read_text(dir / "third/x"), "new");
  EXPECT_EQ(rename_durably(dir / "missing", dir / "x").error().code(), Errc::not_found);
}

}  // namespace
}  // namespace usb
