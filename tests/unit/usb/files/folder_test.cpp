#include "usb/files/folder.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto/base/limits.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/files/tree_walk.hpp"

namespace usb {
namespace {

using base::Errc;
namespace fs = std::filesystem;
namespace limits = base::limits;

TEST(TreeWalk, FindsEveryFileSortedByPath) {
  const tests::TempDir dir;
  tests::write_text(dir / "b.inf", "12");
  tests::write_text(dir / "a/z.sys", "123");
  tests::write_text(dir / "a/b/c.dll", "");
  fs::create_directories(dir / "empty");
  const auto found = files_below(dir.path());
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ(found->at(0).path, "a/b/c.dll");
  EXPECT_EQ(found->at(1).path, "a/z.sys");
  EXPECT_EQ(found->at(1).size, 3U);
  EXPECT_EQ(found->at(2).path, "b.inf");
}

TEST(TreeWalk, RefusesASymbolicLink) {
  const tests::TempDir dir;
  tests::write_text(dir / "in/a", "");
  for (const char* target : {"/etc/passwd", "a", "/", "nowhere"}) {
    fs::create_symlink(target, dir / "in/link");
    const auto found = files_below(dir / "in");
    ASSERT_FALSE(found) << target;
    EXPECT_EQ(found.error().code(), Errc::refused);
    EXPECT_NE(found.error().text().find("symbolic link"), std::string::npos) << found.error().text();
    fs::remove(dir / "in/link");
  }
  fs::create_directory_symlink(dir / "in", dir / "link");
  EXPECT_EQ(files_below(dir / "link").error().code(), Errc::refused);
}

TEST(TreeWalk, RefusesPipesSocketsAndDevices) {
  const tests::TempDir dir;
  fs::create_directories(dir / "in");
  ASSERT_EQ(::mkfifo((dir / "in/pipe").c_str(), 0600), 0);
  EXPECT_EQ(files_below(dir / "in").error().code(), Errc::refused);
  fs::remove(dir / "in/pipe");

  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (dir / "in/socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(files_below(dir / "in").error().code(), Errc::refused);
  ::close(listener);
  fs::remove(dir / "in/socket");

  if (geteuid() == 0 && ::mknod((dir / "in/null").c_str(), S_IFCHR | 0600, 0x103) == 0) {
    EXPECT_EQ(files_below(dir / "in").error().code(), Errc::refused);
  }
}

TEST(TreeWalk, StopsAtTheLimitOfDepth) {
  const tests::TempDir dir;
  fs::path deep = dir.path();
  for (std::size_t i = 0; i < limits::kPathDepth; ++i) deep /= "d";
  tests::write_text(deep / "a", "");
  EXPECT_TRUE(files_below(dir.path()));
  tests::write_text(deep / "d/a", "");
  EXPECT_EQ(files_below(dir.path()).error().code(), Errc::too_large);
}

TEST(TreeWalk, StopsAtTheLimitOfFilesFoldersAndBytes) {
  const tests::TempDir dir;
  for (int i = 0; i < 4; ++i) tests::write_text(dir / ("f" + std::to_string(i)), "1234");
  const auto folder = Folder::open(dir.path());
  ASSERT_TRUE(folder);
  EXPECT_TRUE(folder->files(4, 16));
  EXPECT_EQ(folder->files(3, 16).error().code(), Errc::too_large);
  EXPECT_EQ(folder->files(4, 15).error().code(), Errc::too_large);
  for (int i = 0; i < 5; ++i) fs::create_directories(dir / ("d" + std::to_string(i)));
  EXPECT_EQ(folder->files(4, 16).error().code(), Errc::too_large);
}

TEST(TreeWalk, CountsAFileWithHolesByItsWholeSize) {
  const tests::TempDir dir;
  tests::write_text(dir / "a", "");
  fs::resize_file(dir / "a", limits::kFileBytes + 1);
  EXPECT_EQ(files_below(dir.path()).error().code(), Errc::too_large);
}

TEST(Folder, ReachesNothingOutsideItselfOrThroughALink) {
  const tests::TempDir dir;
  tests::write_text(dir / "secret", "s");
  tests::write_text(dir / "in/a/b", "inside");
  fs::create_directory_symlink(dir.path(), dir / "in/link");
  const auto folder = Folder::open(dir / "in");
  ASSERT_TRUE(folder);
  EXPECT_TRUE(folder->file("a/b"));
  EXPECT_EQ(folder->file("../secret").error().code(), Errc::refused);
  EXPECT_EQ(folder->file((dir / "secret").string()).error().code(), Errc::refused);
  EXPECT_EQ(folder->file("link/secret").error().code(), Errc::refused);
  EXPECT_EQ(folder->folder("link").error().code(), Errc::refused);
  EXPECT_EQ(folder->stat("link").error().code(), Errc::refused);
  EXPECT_EQ(folder->file("a/../../secret").error().code(), Errc::refused);
  EXPECT_EQ(folder->file("a/..").error().code(), Errc::refused);
  EXPECT_EQ(folder->folder("..").error().code(), Errc::refused);
  EXPECT_EQ(folder->file("a/b/").error().code(), Errc::not_found);   // a file, not a folder
  EXPECT_EQ(folder->file("").error().code(), Errc::not_found);
  EXPECT_TRUE(folder->file("./a//b"));
  EXPECT_EQ(folder->file("a").error().code(), Errc::refused);   // a folder, not a file
  EXPECT_EQ(folder->file("none").error().code(), Errc::not_found);
  EXPECT_EQ(folder->read("a/b", 5).error().code(), Errc::too_large);
}

TEST(Folder, KeepsReadingWhatItOpenedWhenTheNameMovesOn) {
  const tests::TempDir dir;
  tests::write_text(dir / "in/a", "first");
  const auto folder = Folder::open(dir / "in");
  ASSERT_TRUE(folder);
  fs::rename(dir / "in", dir / "old");
  tests::write_text(dir / "in/a", "second");
  EXPECT_EQ(base::as_text(*folder->read("a", 100)), "first");
}

TEST(Folder, ListsOnlyWantedNamesUpToALimit) {
  const tests::TempDir dir;
  for (const char* name : {"x1", "x3", "x2", "y", ".hidden"}) tests::write_text(dir / name, "");
  const auto folder = Folder::open(dir.path());
  ASSERT_TRUE(folder);
  const auto wanted = [](std::string_view name) { return name.starts_with("x"); };
  EXPECT_EQ(*folder->names(10, wanted), (std::vector<std::string>{"x1", "x2", "x3"}));
  EXPECT_EQ(folder->names(2, wanted)->size(), 2U);
}

}  // namespace
}  // namespace usb
