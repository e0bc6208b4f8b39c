#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "tests/support/crashes.hpp"
#include "usb/files/parcel.hpp"
#include "usb/wire/request.hpp"

namespace tests {

namespace fs = std::filesystem;

namespace {

bool same_tree(const fs::path& a, const fs::path& b) {
  const auto listed = [](const fs::path& folder) {
    std::map<std::string, base::Bytes> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.is_regular_file() && entry.path().filename() != "owner") files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
    return files;
  };
  return listed(a) == listed(b);
}

}  // namespace

CourierCrashes::CourierCrashes() : rig_(folder_ / "rig") {
  rig_.provision();
  rig_.start_daemon();
  answered_ = rig_.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig_.stick());
  if (round(false) != 0) throw std::runtime_error("the courier does not take a request");
  rig_.wait_for_journal(answered_, "waits for the officers");
  rig_.approve(answered_, {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
  rig_.wait_for_response(answered_);
  rig_.stop_daemon();
  id_ = rig_.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig_.stick());
  points_ = points_of(kEveryKind);
  counted_ = count_by_kind(faults_);
}

int CourierCrashes::points_of(std::uint32_t kinds) {
  begin_anew();
  faults_.arm(0, FaultDeed::none, kinds);
  if (round(true) != 0) throw std::runtime_error("the courier does not do its round");
  if (const std::string wrong = examine(true); !wrong.empty()) throw std::runtime_error(wrong);
  return static_cast<int>(faults_.points());
}

void CourierCrashes::begin_anew() const {
  for (const fs::path& folder : {rig_.state() / "inbox", rig_.stick() / "coldseal/responses"}) fs::remove_all(folder);
}

int CourierCrashes::round(bool under_faults) const {
  const Command command = rig_.courier({"--stick", rig_.stick().string(), "--once"});
  return run(under_faults ? faults_.before(command) : command).status;
}

// Of what lies under an id, all is there, or nothing lies there.
std::string CourierCrashes::examine(bool is_whole) const {
  const fs::path taken = rig_.state() / "inbox" / id_;
  const fs::path delivered = rig_.stick() / "coldseal/responses" / answered_;
  if (fs::exists(taken) && !same_tree(taken, rig_.stick() / "coldseal/requests" / id_)) return "half a request is visible";
  if (fs::exists(delivered) && !same_tree(delivered, rig_.outbox(answered_))) return "half a response is visible";
  if (!is_whole) return "";
  if (!fs::exists(taken)) return "the request was not taken";
  if (!fs::exists(delivered)) return "the response was not delivered";
  if (!fs::exists(taken.parent_path() / (answered_ + std::string(usb::kDeliveredSuffix)))) return "coldseald is not told of the delivery";
  for (const fs::path& folder : {taken.parent_path(), delivered.parent_path()})
    for (const auto& entry : fs::directory_iterator(folder))
      if (const std::string name = entry.path().filename().string();
          !wire::is_request_id(name) && name != answered_ + std::string(usb::kDeliveredSuffix))   // the mark of the delivery, for coldseald
        return "left behind: " + entry.path().string();
  return "";
}

std::string CourierCrashes::strike(int at, FaultDeed deed) {
  const std::string where = fmt::format("point {} of {}: ", at, points_);
  begin_anew();
  faults_.arm(static_cast<std::uint64_t>(at), deed);
  const int status = round(true);
  if ((faults_.struck() != 0) != (status == 128 + 9)) return where + fmt::format("it ended with status {}", status);
  if (const std::string wrong = examine(false); !wrong.empty()) return where + faults_.what() + ": " + wrong;
  if (const int again = round(false); again != 0) return where + faults_.what() + fmt::format(": the next round ended with {}", again);
  if (const std::string wrong = examine(true); !wrong.empty()) return where + faults_.what() + ": " + wrong;
  return "";
}

std::string CourierCrashes::fail(int at, bool for_long, std::uint32_t kinds, int error) {
  const std::string where = fmt::format("point {}, error {}: ", at, error);
  begin_anew();
  faults_.arm(static_cast<std::uint64_t>(at), for_long ? FaultDeed::fail_on : FaultDeed::fail_once, kinds, error);
  const Finished first = run(faults_.before(rig_.courier({"--stick", rig_.stick().string(), "--once"})));
  const std::string what = faults_.what();
  if (first.status > 2) return where + what + ": " + first.output;
  // What was struck without the round failing was of no matter: then everything is there.
  if (const std::string wrong = examine(first.status == 0); !wrong.empty()) return where + what + ": " + wrong + "\n" + first.output;
  if (first.status != 0 && first.output.find(std::strerror(error)) == std::string::npos && first.output.find("full") == std::string::npos)
    return where + what + ": it does not say why:\n" + first.output;
  if (const int again = round(false); again != 0) return where + what + fmt::format(": the next round ended with {}", again);
  if (const std::string wrong = examine(true); !wrong.empty()) return where + what + ": " + wrong;
  return "";
}

}  // namespace tests
