// What administrators do after the ceremony. Each act is a list of commands of the TPM's owner; m administrators approve
// exactly these, one PIN each, and the TPM counts them. It is logged and anchored before the first command runs.
#pragma once

#include <optional>
#include <string>

#include "appliance/clock.hpp"
#include "appliance/custody.hpp"
#include "appliance/layout.hpp"
#include "appliance/terminal.hpp"

namespace appliance {

struct AdminDesk {   // all must outlive the call
  const Layout& layout;
  Custody& custody;
  Terminal& terminal;
  const Clock& clock;     // as far as it is borne out (trusted_clock.hpp)
  const Clock& machine;   // what administrators are asked to approve
};

// What stands before every PIN: the mode, what kind of TPM, and the two words that only this box can show.
base::Result<void> show_box(const AdminDesk& desk);

// Who may approve with a key class, or (without one) who the administrators are. A person who is added under a name that is
// removed gets a new index and a new PIN: that is how a forgotten PIN is replaced.
struct RosterChange {
  std::optional<std::string> key_class;   // none: administrators
  std::optional<std::string> remove;
  std::optional<std::string> add;
  std::optional<unsigned> quorum;         // m from now on
};
base::Result<void> change_roster(const AdminDesk& desk, const RosterChange& change);

// The person's own act: no administrator takes part.
base::Result<void> change_own_pin(const AdminDesk& desk, const std::optional<std::string>& key_class, const std::string& person);
base::Result<void> unlock(const AdminDesk& desk, const std::optional<std::string>& key_class, const std::string& person);
base::Result<void> raise_floor(const AdminDesk& desk, std::uint64_t version);
base::Result<void> approve_configuration(const AdminDesk& desk);
base::Result<void> set_clock(const AdminDesk& desk, base::Time now);
// The other way, after a mistaken time in the future: the log goes on with this machine's time, and says so for ever. The TPM's clock cannot go
// back; how far it is ahead from now on is in the same line.
base::Result<void> set_clock_back(const AdminDesk& desk);
base::Result<void> reset_lockout(const AdminDesk& desk);
// The log as it is becomes the one that the TPM vouches for. Says so in the log, for ever.
base::Result<void> rebaseline(const AdminDesk& desk);
// TPM2_Clear: every key is gone.
base::Result<void> wipe(const AdminDesk& desk);

// The firmware that runs now, as a file for the vendor to sign: FILE.toml and FILE.tbs.
base::Result<void> measure_firmware(const Layout& layout, const std::string& tcti, std::uint64_t version, attest::Mode mode,
                                    const std::string& file, Terminal& terminal);
// A vendor's approval (FILE.toml, FILE.sig) becomes the one in use, when a vendor key signed it and the gate opens with it.
base::Result<void> approve_firmware(const AdminDesk& desk, const std::string& file);

}  // namespace appliance
