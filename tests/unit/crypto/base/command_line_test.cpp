#include "crypto/base/command_line.hpp"

#include <gtest/gtest.h>

namespace {

struct Line {
  base::CommandLine app{"About this program.", "program", "1.2"};
  std::string file;
  std::vector<std::string> names;
  unsigned count = 3;
  bool force = false;
  base::Command make = app.sub("make", "Makes it.");
  base::Command drop = app.sub("drop", "Drops it.");
  base::CommandOption file_option = make.option("FILE", file, "what").required();
  base::CommandOption names_option = make.option("--name", names, "who");
  base::CommandOption count_option = make.option("-c,--count", count, "how many").excludes(names_option);
  base::CommandOption force_option = make.flag("--force", force, "at any price");

  std::optional<int> parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "program");
    return app.parse(static_cast<int>(arguments.size()), arguments.data());
  }
};

TEST(CommandLine, FillsTheVariablesOfTheChosenCommand) {
  Line line;
  EXPECT_EQ(line.parse({"make", "a.sys", "--name", "x", "--name", "y", "--force"}), std::nullopt);
  EXPECT_TRUE(line.make.was_chosen());
  EXPECT_FALSE(line.drop.was_chosen());
  EXPECT_TRUE(line.app.has_chosen_sub());
  EXPECT_EQ(line.file, "a.sys");
  EXPECT_EQ(line.names, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(line.count, 3u);
  EXPECT_TRUE(line.force);
  EXPECT_TRUE(line.names_option.was_given());
  EXPECT_FALSE(line.count_option.was_given());
}

TEST(CommandLine, RunsTheActionOfTheChosenCommandOnly) {
  Line line;
  int made = 0;
  int dropped = 0;
  line.make.when_chosen([&] { ++made; });
  line.drop.when_chosen([&] { ++dropped; });
  EXPECT_EQ(line.parse({"drop"}), std::nullopt);
  EXPECT_EQ(made, 0);
  EXPECT_EQ(dropped, 1);
}

TEST(CommandLine, EndsWithZeroAfterHelpAndVersion) {
  EXPECT_EQ(Line().parse({"--help"}), 0);
  EXPECT_EQ(Line().parse({"make", "--help"}), 0);
  EXPECT_EQ(Line().parse({"--version"}), 0);
}

TEST(CommandLine, EndsWithTwoAfterWrongUsage) {
  EXPECT_EQ(Line().parse({"make"}), 2);                                              // FILE is missing
  EXPECT_EQ(Line().parse({"make", "a", "--nonsense"}), 2);
  EXPECT_EQ(Line().parse({"make", "a", "--count", "minus one"}), 2);
  EXPECT_EQ(Line().parse({"make", "a", "--count", "-1"}), 2);
  EXPECT_EQ(Line().parse({"make", "a", "--count", "99999999999999999999"}), 2);
  EXPECT_EQ(Line().parse({"make", "a", "--count", "1", "--name", "x"}), 2);        // they exclude each other
  EXPECT_EQ(Line().parse({"mkae", "a"}), 2);
}

TEST(CommandLine, RefusesAFolderThatIsNotThere) {
  base::CommandLine app("About.", "program");
  std::string folder;
  app.option("--root", folder, "where").existing_folder();
  const char* const arguments[] = {"program", "--root", "/nowhere/at/all"};
  EXPECT_EQ(app.parse(3, arguments), 2);
}

TEST(CommandLine, AListThatTakesOneEachTimeLeavesTheNextToThePositionals) {
  base::CommandLine app("About.", "program");
  std::vector<std::string> urls;
  std::vector<std::string> files;
  app.option("--url", urls, "where").one_each_time();
  app.option("FILE", files, "what");
  const char* const arguments[] = {"program", "--url", "a", "one", "--url", "b", "two"};
  EXPECT_EQ(app.parse(7, arguments), std::nullopt);
  EXPECT_EQ(urls, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(files, (std::vector<std::string>{"one", "two"}));
}

}  // namespace
