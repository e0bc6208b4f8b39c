#include "crypto/package/os_targets.hpp"

#include <gtest/gtest.h>

#include <set>

namespace package {
namespace {

using base::Errc;

std::vector<const OsTarget*> targets(std::string_view list) {
  auto found = os_targets_from_list(list);
  EXPECT_TRUE(found.has_value()) << found.error().text();
  return found.value_or(std::vector<const OsTarget*>());
}

void expect_refused(std::string_view list, std::string_view because) {
  const auto found = os_targets_from_list(list);
  ASSERT_FALSE(found.has_value()) << list;
  EXPECT_EQ(found.error().code(), Errc::usage);
  EXPECT_NE(found.error().text().find(because), std::string::npos) << found.error().text();
}

TEST(OsTargets, AreWrittenInInf2CatsOrderNotTheUsers) {
  EXPECT_EQ(os_attribute(targets("10_x64, 6_3_arm,10_RS3_ARM64,Server8_X64,10_X86")), "Server2012X64,_v63_ARM,_v100,_v100_X64,_v100_ARM64_RS3");
}

TEST(OsTargets, GiveEachVersionOnceAndAscending) {
  EXPECT_EQ(os_attr_attribute(targets("10_X64,Server10_X64,6_3_X64,8_X64")), "2:6.2,2:6.3,2:10.0");
  EXPECT_EQ(os_attr_attribute(targets("XP_X64")), "2:5.1,2:5.2");
  EXPECT_EQ(os_attr_attribute(targets("XP_X86,Server2003_X86,2000,7_X86")), "2:5.00,2:5.1,2:5.2,2:6.1");
}

TEST(OsTargets, AreNamedOnceEach) {
  std::set<std::string_view> names;
  std::set<std::string_view> strings;
  for (const OsTarget& target : known_os_targets()) {
    EXPECT_TRUE(names.insert(target.name).second) << target.name;
    EXPECT_TRUE(strings.insert(target.os).second) << target.os;
    EXPECT_EQ(target.needs_v1, target.os_attr.starts_with("2:5.") || target.os_attr == "2:6.0" || target.os_attr == "2:6.1") << target.name;
    EXPECT_TRUE(target.name == "2000" || target.name.find(target.architecture == Architecture::x86     ? "_X86"
                                                          : target.architecture == Architecture::amd64 ? "_X64"
                                                          : target.architecture == Architecture::ia64  ? "_IA64"
                                                          : target.architecture == Architecture::arm   ? "_ARM"
                                                                                                       : "_ARM64") != std::string_view::npos)
        << target.name;
  }
}

// The whole list of the Inf2Cat page as of May 2023 with its later additions.
TEST(OsTargets, HoldEveryNameOfTheInf2CatPage) {
  for (const std::string_view name :
       {"10_25H2_X64", "10_25H2_ARM64", "10_GE_X64", "10_GE_ARM64", "Server2025_X64", "Server2025_ARM64", "10_NI_X64", "10_NI_ARM64", "10_CO_X64",
        "10_CO_ARM64", "ServerFE_X64", "ServerFE_ARM64", "10_VB_X86", "10_VB_X64", "10_VB_ARM64", "10_19H1_X86", "10_19H1_X64", "10_19H1_ARM64",
        "10_RS5_X86", "10_RS5_X64", "10_RS5_ARM64", "ServerRS5_X64", "ServerRS5_ARM64", "10_RS4_X86", "10_RS4_X64", "10_RS4_ARM64", "10_RS3_X86",
        "10_RS3_X64", "10_RS3_ARM64", "10_RS2_X86", "10_RS2_X64", "10_AU_X86", "10_AU_X64", "SERVER2016_X64", "10_X86", "10_X64", "Server10_X64",
        "Server10_ARM64"})
    EXPECT_TRUE(os_target(name).has_value()) << name;
}

TEST(OsTargets, SuggestTheNearestNameForAnUnknownOne) {
  expect_refused("10_X46", "10_X46 is not an OS target; did you mean 10_X64?");
  expect_refused("10_X64,10_rs5_arm46", "did you mean 10_RS5_ARM64?");
  expect_refused("10_X64\x1b[2J", "\\x1b");   // nothing that could steer a terminal
}

TEST(OsTargets, RefuseRepeatedEmptyAndEndlessLists) {
  expect_refused("", "at least one");
  expect_refused("  ", "at least one");
  expect_refused("10_X64,10_x64", "named twice");
  expect_refused("10_X64,", "missing between two commas");
  expect_refused(",10_X64", "missing between two commas");
  EXPECT_EQ(os_targets_from_list(std::string(100000, ',')).error().code(), Errc::too_large);
}

TEST(OsTargets, DecideTheVersionOfTheCatalog) {
  EXPECT_EQ(catalog_version(targets("8_X86,10_X64")), 2U);
  EXPECT_EQ(catalog_version(targets("10_X64,7_X64")), 1U);   // one old system is enough
  EXPECT_EQ(catalog_version(targets("2000")), 1U);
}

TEST(OsTargets, AreFoundAgainInAnOsAttributeAndNothingElse) {
  const auto asked_for = targets("7_X64,10_X64,10_X86");
  const auto found = targets_of_os_attribute("7X64,_v100_X64", asked_for);
  ASSERT_TRUE(found.has_value()) << found.error().text();
  EXPECT_EQ(os_attribute(*found), "7X64,_v100_X64");
  for (const std::string_view os : {"_v63_X64", "_v100_X64,7X64", "7X64,7X64", "7X64,", ",7X64", "7x64", "10_X64"}) {
    const auto refused = targets_of_os_attribute(os, asked_for);
    ASSERT_FALSE(refused.has_value()) << os;
    EXPECT_EQ(refused.error().code(), Errc::refused) << os;
  }
}

}  // namespace
}  // namespace package
