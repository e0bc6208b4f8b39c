#include "usb/serial/link.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/serial_cable.hpp"

namespace serial {
namespace {

using base::Errc;
using namespace std::chrono_literals;

// Its line is alive and answers every ping, but whoever should read sleeps, or wants us to wait for ever.
TEST(Link, SaysWhenTheOtherEndIsThereAndTakesNothingMore) {
  tests::SerialCable cable;
  auto appliance = Link::open(cable.appliance_end(), Role::appliance, 0);
  auto host = Link::open(cable.host_end(), Role::host, 7);
  ASSERT_TRUE(appliance && host);
  std::thread other([&] { (void)(*appliance)->connect(20s); });
  const auto connected = (*host)->connect(20s);
  other.join();
  ASSERT_TRUE(connected && *connected);
  (*host)->set_patience(1s);
  base::Result<void> sent;
  std::size_t messages = 0;
  for (; sent && messages < 1000; ++messages) sent = (*host)->send(base::Bytes(8000, 1));
  ASSERT_FALSE(sent) << "somebody keeps 8 MB";
  EXPECT_EQ(sent.error().code(), Errc::unavailable);
  EXPECT_NE(sent.error().text().find("has taken nothing for 1 s"), std::string::npos) << sent.error().text();
  EXPECT_TRUE((*host)->is_connected());
  EXPECT_LT(messages * 8000, 1U << 20) << "and we do not keep it for them";
  // As soon as it reads, things move again.
  std::thread reader([&] {
    for (std::size_t i = 1; i < messages; ++i) EXPECT_TRUE((*appliance)->receive(20s));
  });
  EXPECT_TRUE((*host)->send(base::Bytes(8000, 2)));
  reader.join();
}

}  // namespace
}  // namespace serial
