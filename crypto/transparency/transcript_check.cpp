// What an auditor can prove of a ceremony with its transcript alone.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "crypto/attest/attestation.hpp"
#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/transparency/transcript.hpp"

namespace transparency {
namespace {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;

bool same(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

Result<attest::QuorumTree> tree_of(const TranscriptRoster& roster) {
  std::vector<attest::Name> names;
  for (const TranscriptPerson& person : roster.people) {
    if (!attest::is_person(person.index)) return fail(Errc::malformed, fmt::format("{}: not a person's index", person.name));
    names.push_back(attest::name_of(attest::person_index(person.index)));
  }
  return attest::QuorumTree::build(static_cast<unsigned>(roster.quorum), std::move(names));
}

class Examination {
 public:
  Examination(const SignedTranscript& whole, ByteView identity_wanted, const std::vector<crypto::Certificate>& makers)
      : whole_(whole), t_(whole.transcript), identity_wanted_(identity_wanted), makers_(makers) {}

  std::vector<TranscriptCheck> run() {
    Result<crypto::PublicKey> identity = identity_of(t_);
    if (identity && !identity_wanted_.empty() && !same(identity->der(), identity_wanted_))
      identity = fail(Errc::mismatch, "not the identity key that was expected");
    note("identity key is restricted and cannot leave its TPM", identity);
    const Result<attest::FirmwareMap> map = map_of(t_);
    note("vendor keys are P-256", map);
    if (!identity || !map) return std::move(checks_);
    note("the TPM quoted this very transcript, running approved firmware", quote(*identity, *map));
    note("firmware approval is signed by a vendor key, for this mode", approval());
    for (const TranscriptIndex& index : t_.indices) take_in(*identity, index);
    expect_content("FLOOR", attest::floor_index(), base::ByteWriter().u64be(t_.floor).bytes());
    expect_content("CONFIG", attest::config_index(), base::to_bytes(t_.configuration.bytes()));
    expect_content("SELF: everyone changes the own PIN only", attest::self_index(), attest::roster_bytes(attest::self_tree().digest()));
    const Result<attest::QuorumTree> administrators = tree_of(t_.administrators);
    note(fmt::format("administrators: {} of {}", t_.administrators.quorum, t_.administrators.people.size()), administrators);
    if (administrators)
      expect_content("ADMIN_ROSTER", attest::administrators_index(), attest::roster_bytes(attest::owner_roster(*administrators)));
    expect_people(t_.administrators);
    for (const TranscriptKey& key : t_.keys) examine(*identity, *map, key);
    expect_known("AUDIT_EXT", map->audit_extend());
    expect_known("AUDIT_CNT", map->audit_count());
    expect_known("BASELINE", attest::baseline_index());
    if (!t_.endorsement_certificate.empty()) {
      note("endorsement certificate is of the endorsement key", expect_certificate_of(t_.endorsement_certificate, t_.endorsement));
      if (!makers_.empty()) note("endorsement certificate is by a maker that was given", expect_maker());
    } else if (!makers_.empty()) {
      note("endorsement certificate", Result<void>(fail(Errc::not_found, "this TPM has none")));
    }
    return std::move(checks_);
  }

 private:
  template <class T>
  void note(const std::string& what, const Result<T>& result) {
    checks_.push_back({result.has_value(), result ? what : what + ": " + result.error().text()});
  }
  Result<void> quote(const crypto::PublicKey& identity, const attest::FirmwareMap&) {
    const attest::Attested attested = TRY(attest::verified_attestation(identity, whole_.quote.statement, whole_.quote.signature));
    const auto* const quoted = std::get_if<attest::Quote>(&attested.says);
    if (quoted == nullptr) return fail(Errc::mismatch, "not a quote");
    const crypto::Digest digest = crypto::sha256(base::as_bytes(t_.to_json()));
    if (!same(attested.extra_data, digest.bytes())) return fail(Errc::mismatch, "the quote is about another transcript");
    if (quoted->selection != attest::pcr_selection(attest::kFirmwarePcrs)) return fail(Errc::mismatch, "the quote is about other PCRs");
    const crypto::Digest values = TRY(crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, quoted->pcr_digest));
    if (!(attest::firmware_policy(values, t_.firmware_version) == t_.firmware_policy))
      return fail(Errc::mismatch, "the firmware that ran is not the approved one");
    return {};
  }
  Result<void> approval() {
    const crypto::Digest message = crypto::sha256(attest::firmware_message(t_.firmware_policy, t_.mode));
    for (const Bytes& vendor : t_.vendors) {
      const crypto::PublicKey key = TRY(crypto::PublicKey::parse(vendor));
      if (key.verify(message, t_.firmware_signature)) return {};
    }
    return fail(Errc::mismatch, "neither vendor key made the signature");
  }
  // Makers' certificates name their own use and outlive their keys' first day by decades: what counts is who signed.
  Result<void> expect_maker() const {
    const crypto::Certificate leaf = TRY(crypto::Certificate::parse(t_.endorsement_certificate));
    const crypto::ChainVerdict verdict = crypto::verify_chain(leaf, makers_, makers_, t_.at, crypto::CertificateUse::code_signing);
    for (const crypto::ChainProblem& problem : verdict.problems)
      if (problem.kind != crypto::ChainProblem::Kind::use) return fail(Errc::mismatch, problem.text);
    return {};
  }
  void take_in(const crypto::PublicKey& identity, const TranscriptIndex& index) {
    const auto content = [&]() -> Result<attest::IndexContent> {
      const attest::Attested attested = TRY(attest::verified_attestation(identity, index.content.statement, index.content.signature));
      const auto* const found = std::get_if<attest::IndexContent>(&attested.says);
      if (found == nullptr || found->offset != 0) return fail(Errc::mismatch, "not about an index from its beginning");
      if (!same(attested.extra_data, t_.ceremony_file.bytes())) return fail(Errc::mismatch, "certified for another ceremony");
      return *found;
    }();
    if (!content)
      note(fmt::format("index 0x{:08x}", index.index), content);
    else
      certified_[content->index] = content->content;
  }
  void expect_known(const std::string& what, const attest::NvPublic& area) {
    const bool there = certified_.contains(attest::name_of(area));
    checks_.push_back({there, fmt::format("{} (0x{:08x}) {}", what, area.index,
                                          there ? "is certified" : "is not certified as it must be defined")});
  }
  void expect_content(const std::string& what, const attest::NvPublic& area, const Bytes& content) {
    const auto found = certified_.find(attest::name_of(area));
    const bool good = found != certified_.end() && found->second == content;
    checks_.push_back({good, fmt::format("{} (0x{:08x}) {}", what, area.index,
                                         good                         ? "holds what it must"
                                         : found == certified_.end() ? "is not certified as it must be defined"
                                                                      : "holds something else")});
  }
  // Armed, with no wrong try, and the usual limit; the PIN itself is nobody's to see.
  void expect_people(const TranscriptRoster& roster) {
    for (const TranscriptPerson& person : roster.people) {
      const auto found = certified_.find(attest::name_of(attest::person_index(person.index)));
      Result<void> armed = fail(Errc::mismatch, "is not certified as it must be defined");
      if (found != certified_.end()) {
        base::ByteReader in(found->second);
        const auto used = in.u32be();
        const auto limit = in.u32be();
        armed = {};
        if (!used || !limit || *limit < 1 || *limit > 16) armed = fail(Errc::mismatch, "has no sensible limit of tries");
      }
      note(fmt::format("{} (0x{:08x}) has an index that counts wrong PINs", person.name, person.index), armed);
    }
  }
  void examine(const crypto::PublicKey& identity, const attest::FirmwareMap& map, const TranscriptKey& key) {
    const bool receipt = key.name == "receipt";
    const auto born = [&]() -> Result<void> {
      namespace object = attest::object;
      const attest::ObjectPublic area = TRY(attest::ObjectPublic::parse_sized(key.public_part));
      const attest::Attested attested = TRY(attest::verified_attestation(identity, key.birth.statement, key.birth.signature));
      const auto* const birth = std::get_if<attest::Birth>(&attested.says);
      if (birth == nullptr || birth->object != area.name()) return fail(Errc::mismatch, "the birth certificate is of another key");
      const std::uint32_t wanted = object::kFixedTpm | object::kFixedParent | object::kSensitiveDataOrigin | object::kAdminWithPolicy |
                                   object::kSign | (receipt ? object::kNoDictionaryAttack : 0U);
      if (area.attributes() != wanted)
        return fail(Errc::refused, fmt::format("attributes 0x{:08x}, 0x{:08x} wanted: it could leave the TPM", area.attributes(), wanted));
      const crypto::Digest policy = receipt ? map.receipt_key_policy() : map.signing_key_policy(static_cast<unsigned>(key.slot));
      if (!same(area.policy(), policy.bytes())) return fail(Errc::refused, "its policy is not that of the gates");
      return {};
    };
    note(fmt::format("key \"{}\" was born in this TPM, cannot leave it, and opens through its gates only", base::printable(key.name)), born());
    if (receipt) return;
    const Result<attest::QuorumTree> tree = tree_of(key.roster);
    note(fmt::format("officers of \"{}\": {} of {}", base::printable(key.name), key.roster.quorum, key.roster.people.size()), tree);
    if (tree)
      expect_content("roster of " + base::printable(key.name), attest::roster_index(static_cast<unsigned>(key.slot)),
                     attest::roster_bytes(tree->digest()));
    expect_people(key.roster);
  }

  const SignedTranscript& whole_;
  const Transcript& t_;
  ByteView identity_wanted_;
  const std::vector<crypto::Certificate>& makers_;
  std::map<Bytes, Bytes> certified_;   // Name, content
  std::vector<TranscriptCheck> checks_;
};

}  // namespace

Result<void> expect_certificate_of(ByteView certificate, ByteView endorsement) {
  const crypto::Certificate parsed = TRY(base::within("endorsement certificate", crypto::Certificate::parse(certificate)));
  const attest::ObjectPublic area = TRY(base::within("endorsement key", attest::ObjectPublic::parse(endorsement)));
  if (!same(parsed.public_key_der(), area.spki())) return fail(Errc::mismatch, "endorsement certificate is of another key");
  return {};
}

Result<crypto::PublicKey> identity_of(const Transcript& transcript) {
  namespace object = attest::object;
  const attest::ObjectPublic area = TRY(attest::ObjectPublic::parse(transcript.identity));
  constexpr std::uint32_t kWanted = object::kFixedTpm | object::kFixedParent | object::kSensitiveDataOrigin | object::kUserWithAuth |
                                    object::kNoDictionaryAttack | object::kRestricted | object::kSign;
  if (area.attributes() != kWanted)
    return fail(Errc::refused, fmt::format("identity key has attributes 0x{:08x}, 0x{:08x} wanted", area.attributes(), kWanted));
  return crypto::PublicKey::parse(area.spki());
}

Result<attest::FirmwareMap> map_of(const Transcript& transcript) {
  attest::FirmwareTrust trust;
  trust.mode = transcript.mode;
  if (transcript.vendors.size() != trust.vendors.size()) return fail(Errc::malformed, "two vendor keys wanted");
  for (std::size_t i = 0; i < trust.vendors.size(); ++i) trust.vendors[i] = TRY(attest::ExternalKey::of(transcript.vendors[i]));
  return attest::FirmwareMap(std::move(trust));
}

std::vector<TranscriptCheck> check_transcript(const SignedTranscript& transcript, ByteView identity_wanted,
                                              const std::vector<crypto::Certificate>& makers) {
  return Examination(transcript, identity_wanted, makers).run();
}

}  // namespace transparency
