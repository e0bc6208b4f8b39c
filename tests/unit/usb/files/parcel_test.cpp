// Whole parcels are tested with sticks and cables (stick_test.cpp, serve_test.cpp); here is what only a disk's size decides.
#include "usb/files/parcel.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"
#include "tests/support/temp_dir.hpp"

namespace usb {
namespace {

using base::Errc;

TEST(Inbox, TakesOnlyWhatCanBeCopiedAndAnsweredToo) {
  const tests::TempDir inbox;
  const std::uintmax_t free = std::filesystem::space(inbox.path()).available;
  const std::uint64_t fits_twice = free / 5 * 2;
  if (fits_twice > base::limits::kOutputBytes) GTEST_SKIP() << "this disk takes any request";
  const auto room = expect_room_in_inbox(inbox.path(), fits_twice);
  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().code(), Errc::no_space);
  EXPECT_NE(room.error().text().find("no room for another request"), std::string::npos) << room.error().text();
  EXPECT_TRUE(expect_room_in_inbox(inbox.path(), 0));
  EXPECT_TRUE(expect_room_in_inbox(inbox / "not-there", fits_twice));   // said by who writes into it
}

TEST(Inbox, KeepsRoomForTheLog) {
  const tests::TempDir inbox;
  const std::uintmax_t free = std::filesystem::space(inbox.path()).available;
  const std::uint64_t fits_but_fills = (free - base::limits::kKeptFree / 2) / 3;
  if (fits_but_fills > base::limits::kOutputBytes) GTEST_SKIP() << "this disk takes any request";
  EXPECT_EQ(expect_room_in_inbox(inbox.path(), fits_but_fills).error().code(), Errc::no_space);
}

}  // namespace
}  // namespace usb
