// How the appliance is: one item for each thing that may need somebody, what was found and what to do about it. For coldseal-admin
// status and doctor; coldseald makes it while it runs, because the TPM is its own, and coldseal-admin otherwise. Only looks, except
// that the audit log is held against its anchor, which makes up for one step that a power cut left.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/administered.hpp"
#include "appliance/clock.hpp"
#include "appliance/configuration.hpp"
#include "appliance/custody.hpp"
#include "appliance/layout.hpp"
#include "appliance/request_book.hpp"
#include "appliance/trusted_clock.hpp"
#include "crypto/base/result.hpp"

namespace appliance {

enum class ItemState : std::uint8_t { well, note, attention };   // note: to be known, nothing to be done now
std::string_view item_state_name(ItemState state);

struct CheckupItem {
  std::string name;    // "tpm", "certificate release": stable, docs/operations.md lists them
  ItemState state = ItemState::well;
  std::string found;
  std::string todo;    // empty when there is nothing to do
};

struct Checkup {
  std::string by;      // "coldseald" or "coldseal-admin"
  std::vector<CheckupItem> items;

  std::size_t need_attention() const;
  void add(std::string name, ItemState state, std::string found, std::string todo = {});
  std::string to_json() const;
  static base::Result<Checkup> from_json(std::string_view text);   // Errc::malformed
  std::vector<std::string> lines() const;   // for people; everything printable()
};

struct LogFacts {
  base::Time last{};            // of its last line
  std::uint64_t lines = 0;
  std::function<base::Result<void>()> check;   // holds it against its anchor
};

// What there is to be looked at; pointers may be null for what cannot be looked at now.
struct CheckupSubject {
  const Layout* layout = nullptr;
  const Configuration* configuration = nullptr;
  Custody* custody = nullptr;        // null while officers approve: their sessions come first
  const LogFacts* log = nullptr;
  const Administered* administered = nullptr;   // what the log says of submitters, revocation lists and the clock
  const Clock* clock = nullptr;
  const TrustedClock* trusted_clock = nullptr;   // which knows the time of the log and of the TPM; what coldseald asks before it asks officers
  const RequestBook* book = nullptr;
};
void look_at_appliance(Checkup& checkup, const CheckupSubject& subject);

}  // namespace appliance
