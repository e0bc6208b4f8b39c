#include "usb/files/shared_folder.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_dir.hpp"

namespace usb {
namespace {

namespace fs = std::filesystem;

mode_t mode_of(const fs::path& path) {
  struct stat about {};
  EXPECT_EQ(::lstat(path.c_str(), &about), 0) << path;
  return about.st_mode & 0777;
}

class SharedFolder : public testing::Test {
 protected:
  SharedFolder() {
    fs::create_directories(folder / "box/tree/sub");
    tests::write_text(folder / "box/tree/sub/file", "text");
    tests::write_text(folder / "outside", "text");
    fs::create_symlink(folder / "outside", folder / "box/tree/link");
    for (const char* const each : {"box/tree", "box/tree/sub"}) ::chmod((folder / each).c_str(), 0700);
    for (const char* const each : {"box/tree/sub/file", "outside"}) ::chmod((folder / each).c_str(), 0600);
  }
  tests::TempDir folder;
};

TEST_F(SharedFolder, GivesTheGroupWhatItsOwnRightsSayAndOthersNothing) {
  ::chmod((folder / "box").c_str(), 02750);
  ASSERT_TRUE(give_rights_of_shared_folder(folder / "box", folder / "box/tree"));
  EXPECT_EQ(mode_of(folder / "box/tree"), 0750U);
  EXPECT_EQ(mode_of(folder / "box/tree/sub"), 0750U);
  EXPECT_EQ(mode_of(folder / "box/tree/sub/file"), 0640U);
  ::chmod((folder / "box").c_str(), 02770);
  ASSERT_TRUE(give_rights_of_shared_folder(folder / "box", folder / "box/tree"));
  EXPECT_EQ(mode_of(folder / "box/tree/sub"), 0770U);
  EXPECT_EQ(mode_of(folder / "box/tree/sub/file"), 0660U);
}

TEST_F(SharedFolder, GivesThemToASingleFileToo) {
  ::chmod((folder / "box").c_str(), 02770);
  ASSERT_TRUE(give_rights_of_shared_folder(folder / "box", folder / "box/tree/sub/file"));
  EXPECT_EQ(mode_of(folder / "box/tree/sub/file"), 0660U);
  EXPECT_EQ(mode_of(folder / "box/tree/sub"), 0700U);
}

TEST_F(SharedFolder, DoesNotReachWhatALinkNames) {
  ::chmod((folder / "box").c_str(), 02770);
  ASSERT_TRUE(give_rights_of_shared_folder(folder / "box", folder / "box/tree"));
  EXPECT_EQ(mode_of(folder / "outside"), 0600U);
}

TEST_F(SharedFolder, ThatIsNotSetGroupIdChangesNothing) {
  ::chmod((folder / "box").c_str(), 0777);
  ASSERT_TRUE(give_rights_of_shared_folder(folder / "box", folder / "box/tree"));
  EXPECT_EQ(mode_of(folder / "box/tree"), 0700U);
  EXPECT_EQ(mode_of(folder / "box/tree/sub/file"), 0600U);
}

TEST_F(SharedFolder, ThatIsNotThereIsSaid) {
  const base::Result<void> missing = give_rights_of_shared_folder(folder / "nowhere", folder / "box/tree");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text().find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace usb
