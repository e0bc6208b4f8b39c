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
  const char* cause;
  const char* consequence;
  const char* next_step;
  const char* recovery;
};

// Part 2 section 6.6.3. The first row that fits wins, so a step's own meaning stands before the general one.
// What can be begun where the message stands: at the prompt itself, in the console's list of requests, or at the shell.
constexpr const char* kAgain = "enter it again at this prompt";
constexpr const char* kOpen = "open the request again in the console's list";
constexpr const char* kLook = "t in the console's list opens the TPM anew and says what it finds";

constexpr std::array kMeanings = {
    Meaning{0x0a2, Step::officer, Errc::refused, "PIN wrong",
            "one try of this officer is used up; nobody else is affected",
            "enter it again", kAgain},
    Meaning{0x08e, Step::officer, Errc::refused, "PIN wrong",
            "one try of this officer is used up; nobody else is affected",
            "enter it again", kAgain},
    Meaning{0x12f, Step::officer, Errc::refused, "officer is blocked",
            "too many wrong PINs, or the index was never armed; the others can go on",
            "administrators must unlock", "u in the console's list, or coldseal-admin unlock"},
    Meaning{0x0a2, Step::pin_change, Errc::refused, "PIN wrong",
            "the PIN stays as it is",
            "enter it again", kAgain},
    Meaning{0x0a2, Step::owner, Errc::refused, "the hierarchy has a password that nobody knows",
            "only administrators together can do this",
            "use coldseal-admin with the administrators", "t in the console's list, or coldseal-admin status"},
    Meaning{0x08e, Step::owner, Errc::tpm, "the TPM did not accept the lockout password",
            "a clear or a lockout reset needs the administrators",
            "use coldseal-admin with the administrators", "t in the console's list, or coldseal-admin status"},
    Meaning{0x0a2, Step::other, Errc::tpm, "the TPM did not accept an authorisation (0x0a2)",
            "nothing was done; the session was altered on its way, or the owner hierarchy is closed",
            "check the bus and the cable; then let administrators look", kLook},
    Meaning{0x08e, Step::other, Errc::tpm, "the TPM did not accept an authorisation (0x08e)",
            "nothing was done; it may have counted as a failed try of the whole TPM",
            "let administrators look", kLook},
    Meaning{0x12f, Step::other, Errc::tpm, "the TPM does not allow this authorisation here (0x12f)",
            "nothing was done",
            "provisioning is incomplete; let administrators look", kLook},
    Meaning{0x921, Step::other, Errc::tpm, "TPM lockout",
            "nothing that counts tries for the whole TPM works meanwhile; officers' PINs do not",
            "wait, or let administrators reset it", "l in the console's list, or coldseal-admin lockout-reset"},
    Meaning{0x084, Step::policy_or, Errc::refused, "not enough, or not these, officers",
            "nothing was signed or changed",
            "let the missing ones enter their PINs", kAgain},
    Meaning{0x084, Step::roster, Errc::refused, "the roster in the TPM is not the roster on disk",
            "nobody can approve until they agree",
            "administrators must put it right", "t in the console's list, or coldseal-admin status"},
    Meaning{0x084, Step::firmware, Errc::refused, "firmware measurements are not the approved ones",
            "this box can neither sign nor write its log's anchor while it runs this firmware",
            "start the approved firmware, or bring the vendor's approval of this one", "coldseal-admin firmware approve"},
    Meaning{0x126, Step::floor, Errc::refused, "firmware is older than the floor",
            "this firmware may never sign again",
            "install newer firmware, or bring its approval", "coldseal-admin firmware approve"},
    Meaning{0x084, Step::create_key, Errc::tpm, "key type not supported by this TPM",
            "the key cannot be made",
            "another TPM is needed", "t in the console's list, or coldseal-admin status"},
    Meaning{0x084, Step::vendor, Errc::tpm, "vendor's key type not supported by this TPM",
            "firmware approvals cannot be checked",
            "the vendor must use a P-256 key", "coldseal-admin firmware approve"},
    Meaning{0x09b, Step::vendor, Errc::refused, "signature on the firmware approval is not the vendor's",
            "the approval is not used",
            "get it again from the vendor", "coldseal-admin firmware approve"},
    Meaning{0x09d, Step::sign, Errc::refused, "approvals are not for this file and key, or too few",
            "nothing was signed",
            "let the officers enter anew", kOpen},
    Meaning{0x09d, Step::gate, Errc::refused, "approvals are not for this file and key, or are used up",
            "nothing was signed",
            "let the officers enter anew", kOpen},
    Meaning{0x09d, Step::nv, Errc::refused, "approvals are not for this change, or the hierarchy is closed",
            "nothing was changed",
            "let the administrators approve exactly this change", "t in the console's list, or coldseal-admin status"},
    Meaning{0x09d, Step::other, Errc::refused, "the TPM's policy does not allow this",
            "nothing was done",
            "see who may do it in docs/custody.md", kLook},
    Meaning{0x0a4, Step::other, Errc::refused, "the session is for another operation",
            "nothing was done",
            "begin again", kOpen},
    Meaning{0x151, Step::other, Errc::refused, "officers approved different requests",
            "nothing was signed",
            "let them read the same request and enter anew", kOpen},
    Meaning{0x0a3, Step::other, Errc::refused, "approval ran out",
            "nothing was signed",
            "enter again", kOpen},
    Meaning{0x0a0, Step::ticket, Errc::refused, "approval is not for this file and key, or is from before the TPM was reset",
            "nothing was signed",
            "enter again", kOpen},
    Meaning{0x0a0, Step::other, Errc::refused, "ticket not accepted by the TPM",
            "nothing was done",
            "enter again", kOpen},
    Meaning{0x126, Step::other, Errc::refused, "a value in the TPM is not what the policy wants",
            "nothing was done",
            "let administrators compare with docs/custody.md", "t in the console's list, or coldseal-admin status"},
    Meaning{0x128, Step::other, Errc::unavailable, "firmware measurements changed meanwhile",
            "nothing was signed",
            "try again", kOpen},
    Meaning{0x09b, Step::other, Errc::refused, "signature not accepted by the TPM",
            "nothing was done",
            "the card's approval is not valid; enter again", kOpen},
    Meaning{0x08f, Step::gate, Errc::refused, "approval is used up, or for another session",
            "nothing was signed",
            "let the officers enter anew", kOpen},
    Meaning{0x08f, Step::other, Errc::refused, "approval is for another session",
            "nothing was done",
            "enter again", kOpen},
    Meaning{0x09f, Step::load_key, Errc::refused, "key blob belongs to another TPM or is damaged",
            "this key cannot be used here",
            "restore this TPM's own files", "t in the console's list, or coldseal-admin status"},
    Meaning{0x09f, Step::other, Errc::tpm, "integrity check of the TPM did not hold (0x09f)",
            "nothing was done",
            "restore the file from a copy", kLook},
    Meaning{0x082, Step::other, Errc::tpm, "attributes not allowed by the TPM (0x082)",
            "the key cannot be exported, or the index not made",
            "another TPM is needed, or this is not allowed", kLook},
    Meaning{0x14c, Step::nv, Errc::refused, "index is defined already",
            "nothing was changed",
            "remove it first", "t in the console's list, or coldseal-admin status"},
    Meaning{0x14b, Step::nv, Errc::no_space, "no room for another index in the TPM",
            "nothing was changed",
            "remove unused ones", "t in the console's list, or coldseal-admin status"},
    Meaning{0x149, Step::other, Errc::refused, "index is not for this use",
            "nothing was done",
            "administrators must set it up", "t in the console's list, or coldseal-admin status"},
    Meaning{0x14a, Step::other, Errc::refused, "index was never written",
            "nothing was done; this TPM is not as the ceremony leaves one",
            "let administrators see what is missing", "t in the console's list, or coldseal-admin status"},
    Meaning{0x148, Step::other, Errc::refused, "index is locked",
            "nothing was written",
            "restart the TPM", kLook},
    Meaning{0x08b, Step::other, Errc::not_found, "no such handle in the TPM",
            "nothing was done; the TPM was cleared, or it is another one",
            "bring the TPM that the ceremony was held with", "t in the console's list, or coldseal-admin status"},
    Meaning{0x902, Step::other, Errc::unavailable, "TPM has no room for another object",
            "something was not flushed",
            "try again; if it stays, restart coldseald", kLook},
    Meaning{0x903, Step::other, Errc::unavailable, "TPM has no room for another session",
            "something was not flushed",
            "try again; if it stays, restart coldseald", kLook},
    Meaning{0x901, Step::other, Errc::unavailable, "TPM has too many saved sessions",
            "nothing was done",
            "restart it", kLook},
    Meaning{0x905, Step::other, Errc::unavailable, "TPM has no session handle left",
            "nothing was done",
            "restart it", kLook},
    Meaning{0x922, Step::officer, Errc::unavailable, "TPM is busy",
            "nothing was done; no try was counted",
            "enter it again", kAgain},
    Meaning{0x922, Step::pin_change, Errc::unavailable, "TPM is busy",
            "nothing was done; no try was counted",
            "enter it again", kAgain},
    Meaning{0x922, Step::other, Errc::unavailable, "TPM is busy",
            "nothing was done",
            "try again", kLook},
    Meaning{0x90a, Step::other, Errc::unavailable, "TPM is testing itself",
            "nothing was done",
            "try again", kLook},
    Meaning{0x920, Step::other, Errc::unavailable, "TPM protects its memory from too many writes",
            "nothing was written",
            "wait and try again", kLook},
    Meaning{0x923, Step::other, Errc::unavailable, "TPM memory is not available now",
            "nothing was written",
            "wait and try again", kLook},
    Meaning{0x100, Step::other, Errc::tpm, "TPM was restarted or not started",
            "approvals from before are gone",
            "open it again", kLook},
    Meaning{0x101, Step::other, Errc::tpm, "TPM did not pass its self test",
            "it signs nothing any more",
            "it must be replaced", kLook},
    Meaning{0x120, Step::other, Errc::tpm, "command is disabled in this TPM",
            "a clear is not possible from here",
            "clear it in the machine's firmware setup", "t in the console's list, or coldseal-admin status"},
    Meaning{0x143, Step::other, Errc::tpm, "command not known to this TPM",
            "it cannot hold the promises",
            "a TPM 2.0 of revision 1.38 or later is needed", "t in the console's list, or coldseal-admin status"},
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

Advice advice(std::uint32_t code, Step step) {
  const std::uint32_t layer = layer_of(code);
  // TSS2_BASE_RC_BAD_SEQUENCE, bad_context: ESYS after a command that was cut off half way.
  constexpr std::uint32_t kBadSequence = 7;
  if (layer == kLayerTransport || (layer == kLayerEsys && (code & 0xffff) == kBadSequence))
    return {Errc::tpm, fmt::format("TPM not reachable (0x{:06x})", code), "whether the last command was carried out is not known",
            "check that it is there, then open it again", kLook};
  const std::uint32_t error = tpm_error(code);
  const auto meaning = std::find_if(kMeanings.begin(), kMeanings.end(), [&](const Meaning& row) {
    return row.code == error && (row.step == step || row.step == Step::other);
  });
  if (error != 0 && meaning != kMeanings.end())
    return {meaning->errc, meaning->cause, meaning->consequence, meaning->next_step, meaning->recovery};
  if (error != 0)
    return {Errc::tpm, fmt::format("TPM answered with error 0x{:03x} (code 0x{:08x})", error, code), "nothing was done",
            "write the number down and let administrators look", kLook};
  const char* const who = layer == kLayerManager ? "TPM resource manager" : "TPM software stack";
  return {Errc::tpm, fmt::format("{} answered with code 0x{:08x}", who, code), "nothing was done",
          "write the number down and let administrators look", kLook};
}

std::vector<KnownCode> known_codes() {
  std::vector<KnownCode> codes;
  for (const Meaning& row : kMeanings) codes.push_back({row.code, row.step});
  return codes;
}

base::Error explain(std::uint32_t code, Step step) {
  const Advice found = advice(code, step);
  return {found.errc, fmt::format("{}; {}; {}: {}", found.cause, found.consequence, found.next_step, found.recovery)};
}

}  // namespace tpm
