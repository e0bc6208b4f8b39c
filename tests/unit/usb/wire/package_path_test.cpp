#include "usb/wire/package_path.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"

namespace wire {
namespace {

void expect_refused(std::string_view path, std::string_view rule) {
  const base::Result<void> result = expect_package_path(path);
  ASSERT_FALSE(result) << path;
  EXPECT_EQ(result.error().code(), base::Errc::refused);
  EXPECT_NE(result.error().text().find(rule), std::string::npos) << result.error().text();
}

TEST(PackagePath, TakesWhatDriverPackagesHold) {
  for (const char* const path : {"a", "driver.inf", "x64/driver.sys", "a b/c (1).dll", "amd64/WdfCoInstaller01011.dll", "x/con1.txt",
                                 "console.exe", "com10.dll", "lpt.sys", "nulls", ".hidden", "a..b", "{1f3e}~$#@!%&'()-_=+,;[]^`.bin"})
    EXPECT_TRUE(expect_package_path(path)) << path;
}

TEST(PackagePath, RefusesWhatLeavesTheFolder) {
  expect_refused("..", "leads elsewhere");
  expect_refused("../a", "leads elsewhere");
  expect_refused("a/../b", "leads elsewhere");
  expect_refused("a/..", "leads elsewhere");
  expect_refused("./a", "leads elsewhere");
  expect_refused("/a", "empty part");
  expect_refused("a//b", "empty part");
  expect_refused("a/", "empty part");
  expect_refused("", "empty path");
}

TEST(PackagePath, RefusesCharactersThatMeanSomethingElsewhere) {
  for (const char* const path : {"a\\b", "c:a", "a<b", "a>b", "a\"b", "a|b", "a?b", "a*b"}) expect_refused(path, "not allowed");
  expect_refused("d\xC3\xA9j\xC3\xA0.sys", "printable ASCII");
  expect_refused("a\nb", "printable ASCII");
  expect_refused(std::string_view("a\0b", 3), "printable ASCII");
  expect_refused("a\x7F", "printable ASCII");
}

TEST(PackagePath, RefusesDeviceNamesWithAnyExtensionAndInAnyFolder) {
  for (const char* const path : {"CON", "con", "NUL.txt", "nul .txt", "aux.a.b", "PRN", "x/COM1", "lpt9.sys/a", "CLOCK$", "conin$", "COM0"})
    expect_refused(path, "device name");
}

TEST(PackagePath, RefusesEndsThatWindowsDrops) {
  expect_refused("a.", "ends in a dot");
  expect_refused("a ", "ends in a space");
  expect_refused("x./a", "ends in a dot");
  expect_refused("...", "ends in a dot");
}

TEST(PackagePath, HoldsItsLimits) {
  const std::string longest(base::limits::kPathBytes, 'a');
  EXPECT_TRUE(expect_package_path(longest));
  expect_refused(longest + "a", "bytes long");
  std::string deepest;
  for (std::size_t i = 0; i < base::limits::kPathDepth; ++i) deepest += "d/";
  EXPECT_TRUE(expect_package_path(deepest + "f"));
  expect_refused(deepest + "d/f", "folders deep");
}

void expect_not_distinct(const std::vector<std::string>& paths, std::string_view why) {
  const base::Result<void> result = expect_distinct_paths(paths);
  ASSERT_FALSE(result) << why;
  EXPECT_EQ(result.error().code(), base::Errc::refused);
  EXPECT_NE(result.error().text().find(why), std::string::npos) << result.error().text();
}

TEST(DistinctPaths, TakesFilesOfOneFolderAndOfMany) {
  EXPECT_TRUE(expect_distinct_paths({}));
  EXPECT_TRUE(expect_distinct_paths({"a", "b", "x/a", "x/y/a", "x/y.txt", "xy/a"}));
}

TEST(DistinctPaths, RefusesWhatOneOfTheFileSystemsCannotKeepApart) {
  expect_not_distinct({"a", "a"}, "listed twice");
  expect_not_distinct({"Driver.sys", "driver.SYS"}, "differ only in case");
  expect_not_distinct({"a", "a/b"}, "is a file and a folder");
  expect_not_distinct({"A", "a/b"}, "is a file and a folder");
  expect_not_distinct({"X/a", "x/b"}, "differ only in case");
  expect_not_distinct({"a", "b/../c"}, "leads elsewhere");
}

}  // namespace
}  // namespace wire
