#include "tests/support/serial_crashes.hpp"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include "crypto/keys/submitter_key.hpp"
#include "crypto/verify_signature.hpp"
#include "tests/support/crashes.hpp"
#include "tests/support/parcels.hpp"
#include "usb/files/parcel.hpp"

namespace tests {

namespace fs = std::filesystem;

SerialCourierCrashes::SerialCourierCrashes() : id_(some_id('a')), answered_(some_id('b')) {
  make_request(folder_ / "out", id_, {{"a.inf", some_bytes(1000, 1)}, {"x64/a.sys", some_bytes(90'000, 2)}});
  const keys::SubmitterKey key = keys::SubmitterKey::generate();
  write_text(folder_ / "key.pem", key.pem(nullptr));
  const fs::path outbox = folder_ / "root/var/lib/coldseal/outbox";
  make_response(outbox, answered_, {{"a.cat", some_bytes(5000, 3)}});
  write_text(outbox / answered_ / usb::kOwnerName, crypto::PublicKey::parse(key.public_key_der())->keyid());
  faults_.arm(0, FaultDeed::none);
  if (const std::string wrong = round(); !wrong.empty()) throw std::runtime_error(wrong);
  points_ = static_cast<int>(faults_.points());
  counted_ = count_by_kind(faults_);
}

std::string SerialCourierCrashes::examine_inbox() const {
  const fs::path taken = folder_ / "root/var/lib/coldseal/inbox" / id_;
  if (fs::exists(taken) && all_files(taken) != all_files(folder_ / "out" / id_)) return "half a request is visible";
  return "";
}

std::string SerialCourierCrashes::round() {
  fs::remove_all(folder_ / "root/var/lib/coldseal/inbox");
  fs::remove_all(folder_ / "in");
  const Command command{program("coldseal-courier"), "--root", folder_ / "root", "--serial", cable_.appliance_end()};
  std::atomic<bool> over = false;
  std::string seen;
  std::thread watch([&] {
    auto courier = std::make_unique<Background>(faults_.before(command), folder_ / "courier.log");
    while (!over) {
      if (!courier->is_running()) {
        seen += examine_inbox();
        courier = std::make_unique<Background>(command, folder_ / "courier.log");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  Finished sent;
  Finished collected;
  // Whoever was cut off and gave up is asked again, as a build server does.
  for (int tries = 0; tries < 3 && sent.status != 0; ++tries)
    sent = run({program("coldseal"), "send", "--serial", cable_.host_end(), folder_ / "out" / id_});
  for (int tries = 0; tries < 3 && collected.status != 0; ++tries)
    collected = run({program("coldseal"), "collect", "--serial", cable_.host_end(), "--key", folder_ / "key.pem", "-o", folder_ / "in"});
  over = true;
  watch.join();
  if (!seen.empty()) return seen;
  if (sent.status != 0) return "not sent: " + sent.output;
  if (collected.status != 0) return "not collected: " + collected.output;
  const fs::path inbox = folder_ / "root/var/lib/coldseal/inbox";
  if (!fs::exists(inbox / id_)) return "the request is not there";
  if (const std::string wrong = examine_inbox(); !wrong.empty()) return wrong;
  if (fs::exists(inbox / (id_ + ".part"))) return "a part is left";
  if (read_file(folder_ / "in" / answered_ / "files/a.cat") != some_bytes(5000, 3)) return "the answer is not what it was";
  return "";
}

std::string SerialCourierCrashes::strike(int at, FaultDeed deed) {
  faults_.arm(static_cast<std::uint64_t>(at), deed);
  const std::string wrong = round();
  const std::string what = faults_.what();
  faults_.disarm();
  return wrong.empty() ? "" : fmt::format("point {} of {}: {}: {}", at, points_, what, wrong);
}

}  // namespace tests
