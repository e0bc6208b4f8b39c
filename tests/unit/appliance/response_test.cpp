#include "appliance/response.hpp"

#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

namespace fs = std::filesystem;

class Response : public SmallAppliance {
 protected:
  void make(const std::string& text) const {
    tests::write_text(must(begin_response(layout, id)) / wire::kReceiptName, text);
  }
  std::vector<std::string> in_the_outbox() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(layout.outbox())) names.push_back(entry.path().filename().string());
    return names;
  }
  const std::string id = std::string(64, 'd');
};

TEST_F(Response, AppearsCompleteByOneRename) {
  make("a receipt");
  EXPECT_FALSE(fs::exists(layout.outbox() / id));
  must(publish_response(layout, id));
  EXPECT_EQ(tests::read_text(layout.outbox() / id / wire::kReceiptName), "a receipt");
  EXPECT_EQ(in_the_outbox(), std::vector<std::string>{id});
}

TEST_F(Response, ReplacesAnEarlierAnswerAndLeavesNothingOfIt) {
  make("refused");
  tests::write_text(layout.outbox() / (id + ".part") / "files/old.sys", "old");
  must(publish_response(layout, id));
  make("signed");
  must(publish_response(layout, id));
  EXPECT_EQ(tests::read_text(layout.outbox() / id / wire::kReceiptName), "signed");
  EXPECT_FALSE(fs::exists(layout.outbox() / id / "files"));
  EXPECT_EQ(in_the_outbox(), std::vector<std::string>{id});
}

TEST_F(Response, BeginsEmptyWhateverAnEarlierAttemptLeft) {
  make("half");
  const fs::path part = must(begin_response(layout, id));
  EXPECT_TRUE(fs::is_empty(part));
}

TEST_F(Response, DiscardedIsGoneAndAnEarlierAnswerStays) {
  make("refused");
  must(publish_response(layout, id));
  make("half");
  discard_response(layout, id);
  EXPECT_EQ(in_the_outbox(), std::vector<std::string>{id});
  EXPECT_FALSE(publish_response(layout, id).has_value());
  EXPECT_EQ(tests::read_text(layout.outbox() / id / wire::kReceiptName), "refused");
}

}  // namespace
}  // namespace appliance
