#include "tpm/response_code.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace tpm {
namespace {

using base::Errc;

// Layers, bits 16 to 23 of a TSS2_RC.
constexpr std::uint32_t kLayerTpm = 0;
constexpr std::uint32_t kLayerEsys = 7;
constexpr std::uint32_t kLayerTransport = 10;
constexpr std::uint32_t kLayerManagerTpm = 11;   // a resource manager's answer in the TPM's own format
constexpr std::uint32_t kLayerManager = 12;

struct Meaning {
  std::uint32_t code;
  Step step;   // Step::other: at any step
  Errc errc;
  const char* text;
};

// Part 2 section 6.6.3. The first row that fits wins, so a step's own meaning stands before the general one.
constexpr std::array kMeanings = {
    Meaning{0x0a2, Step::officer, Errc::refused, "PIN wrong"},
    Meaning{0x08e, Step::officer, Errc::refused, "PIN wrong"},
    Meaning{0x12f, Step::officer, Errc::refused, "officer is blocked; administrators must unlock"},
    Meaning{0x0a2, Step::other, Errc::tpm, "the TPM did not accept an authorisation (0x0a2); the session was altered on "
                                           "its way, or the owner hierarchy is closed"},
    Meaning{0x08e, Step::other, Errc::tpm, "the TPM did not accept an authorisation (0x08e)"},
    Meaning{0x12f, Step::other, Errc::tpm, "the TPM does not allow this authorisation here (0x12f)"},
    Meaning{0x921, Step::other, Errc::tpm, "TPM lockout; wait, or let administrators reset it"},
    Meaning{0x084, Step::policy_or, Errc::refused, "not enough, or not these, officers"},
    Meaning{0x084, Step::create_key, Errc::tpm, "key type not supported by this TPM"},
    Meaning{0x09d, Step::sign, Errc::refused, "approvals are not for this file and key, or too few"},
    Meaning{0x09d, Step::other, Errc::refused, "the TPM's policy does not allow this"},
    Meaning{0x0a4, Step::other, Errc::refused, "the session is for another operation"},
    Meaning{0x151, Step::other, Errc::refused, "officers approved different requests"},
    Meaning{0x0a3, Step::ticket, Errc::refused, "approval ran out; enter again"},
    Meaning{0x0a0, Step::ticket, Errc::refused, "approval is not for this file and key, or is from before the TPM was "
                                                "reset; enter again"},
    Meaning{0x0a3, Step::other, Errc::refused, "approval ran out; enter again"},
    Meaning{0x0a0, Step::other, Errc::refused, "ticket not accepted by the TPM"},
    Meaning{0x126, Step::other, Errc::refused, "a value in the TPM is not what the policy wants"},
    Meaning{0x128, Step::other, Errc::unavailable, "firmware measurements changed meanwhile; try again"},
    Meaning{0x09b, Step::other, Errc::tpm, "signature not accepted by the TPM"},
    Meaning{0x08f, Step::other, Errc::tpm, "the TPM's nonce is not the expected one"},
    Meaning{0x09f, Step::load_key, Errc::refused, "key blob belongs to another TPM or is damaged; restore this TPM's own"},
    Meaning{0x09f, Step::other, Errc::tpm, "integrity check of the TPM did not hold (0x09f)"},
    Meaning{0x082, Step::other, Errc::tpm, "attributes not allowed by the TPM (0x082)"},
    Meaning{0x14c, Step::nv, Errc::refused, "index is defined already; remove it first"},
    Meaning{0x14b, Step::nv, Errc::no_space, "no room for another index in the TPM; remove unused ones"},
    Meaning{0x149, Step::other, Errc::refused, "index is not for this use; administrators must set it up"},
    Meaning{0x14a, Step::other, Errc::refused, "index was never written; provisioning is incomplete"},
    Meaning{0x148, Step::other, Errc::refused, "index is locked until the TPM is restarted"},
    Meaning{0x08b, Step::other, Errc::not_found, "no such handle in the TPM; provisioning is incomplete"},
    Meaning{0x902, Step::other, Errc::unavailable, "TPM has no room for another object; something was not flushed"},
    Meaning{0x903, Step::other, Errc::unavailable, "TPM has no room for another session; something was not flushed"},
    Meaning{0x901, Step::other, Errc::unavailable, "TPM has too many saved sessions; restart it"},
    Meaning{0x905, Step::other, Errc::unavailable, "TPM has no session handle left; restart it"},
    Meaning{0x922, Step::other, Errc::unavailable, "TPM is busy; try again"},
    Meaning{0x90a, Step::other, Errc::unavailable, "TPM is testing itself; try again"},
    Meaning{0x920, Step::other, Errc::unavailable, "TPM protects its memory from too many writes; wait and try again"},
    Meaning{0x923, Step::other, Errc::unavailable, "TPM memory is not available now; wait and try again"},
    Meaning{0x100, Step::other, Errc::tpm, "TPM was restarted or not started; open it again"},
    Meaning{0x101, Step::other, Errc::tpm, "TPM did not pass its self test; it must be replaced"},
    Meaning{0x120, Step::other, Errc::tpm, "command is disabled in this TPM"},
    Meaning{0x143, Step::other, Errc::tpm, "command not known to this TPM; a TPM 2.0 of revision 1.38 or later is needed"},
};

std::uint32_t layer_of(std::uint32_t code) { return (code >> 16) & 0xff; }

}  // namespace

std::uint32_t tpm_error(std::uint32_t code) {
  const std::uint32_t layer = layer_of(code);
  if (layer != kLayerTpm && layer != kLayerManagerTpm) return 0;
  const std::uint32_t number = code & 0xfff;
  // Format one (bit 7) carries a parameter, handle or session number in bits 6 and 8 to 11.
  return (number & 0x080) != 0 ? number & 0x0bf : number;
}

base::Error explain(std::uint32_t code, Step step) {
  const std::uint32_t layer = layer_of(code);
  // TSS2_BASE_RC_BAD_SEQUENCE, bad_context: ESYS after a command that was cut off half way.
  constexpr std::uint32_t kBadSequence = 7;
  if (layer == kLayerTransport || (layer == kLayerEsys && (code & 0xffff) == kBadSequence))
    return {Errc::tpm, fmt::format("TPM not reachable (0x{:06x}); check that it is there, then open it again", code)};
  const std::uint32_t error = tpm_error(code);
  const auto meaning = std::find_if(kMeanings.begin(), kMeanings.end(), [&](const Meaning& row) {
    return row.code == error && (row.step == step || row.step == Step::other);
  });
  if (error != 0 && meaning != kMeanings.end()) return {meaning->errc, meaning->text};
  if (error != 0) return {Errc::tpm, fmt::format("TPM answered with error 0x{:03x} (code 0x{:08x})", error, code)};
  const char* const who = layer == kLayerManager ? "TPM resource manager" : "TPM software stack";
  return {Errc::tpm, fmt::format("{} answered with code 0x{:08x}", who, code)};
}

}  // namespace tpm
