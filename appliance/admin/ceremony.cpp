#include "appliance/admin/ceremony.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "appliance/admin/act_log.hpp"
#include "appliance/admin/ceremony_file.hpp"
#include "appliance/admin/ceremony_progress.hpp"
#include "appliance/admin/people.hpp"
#include "appliance/custody.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/base/words.hpp"
#include "crypto/keys/random.hpp"
#include "crypto/transparency/transcript.hpp"
#include "tpm/attestation.hpp"
#include "tpm/officers.hpp"
#include "tpm/provisioning.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {
namespace {

using base::Bytes;
using base::Errc;
using base::fail;
using base::printable;
using base::Result;
using transparency::SignedTranscript;
using transparency::Transcript;

transparency::TranscriptRoster described(const tpm::Quorum& quorum) {
  transparency::TranscriptRoster roster{quorum.m, {}};
  for (const tpm::Officer& officer : quorum.officers) roster.people.push_back({officer.name, officer.nv_index});
  return roster;
}

// The installation makes the folder. One that cannot be read may hold anything.
bool has_anything(const std::filesystem::path& folder) {
  std::error_code error;
  const bool is_empty = std::filesystem::is_empty(folder, error);
  return error ? error != std::errc::no_such_file_or_directory : !is_empty;
}

// "index 0x01400001, key 0x81800000": as many as fit a line.
std::string some_of(const std::vector<std::string>& all) {
  constexpr std::size_t kMost = 20;
  std::string line;
  for (std::size_t i = 0; i < all.size() && i < kMost; ++i) line += (i == 0 ? "" : ", ") + all[i];
  return all.size() > kMost ? fmt::format("{} and {} more", line, all.size() - kMost) : line;
}

class Ceremony {
 public:
  Ceremony(const Layout& layout, CeremonyFile file, Configuration configuration, Terminal& terminal, Progress progress,
           std::unique_ptr<tpm::Device> device, const Clock& clock)
      : layout_(layout),
        file_(std::move(file)),
        configuration_(std::move(configuration)),
        terminal_(terminal),
        progress_(std::move(progress)),
        device_(std::move(device)),
        clock_(clock) {
    transcript_.title = file_.title;
    transcript_.at = clock.now();
  }

  Result<void> run() {
    using Step = Result<void> (Ceremony::*)();
    struct Named {
      const char* name;
      const char* heading;
      Step step;
    };
    // The people and the keys come before the closing, and everything that needs an open owner does.
    constexpr Named kSteps[] = {
        {"begin", "the TPM is looked at", &Ceremony::begin},
        {"indices", "indices of the appliance", &Ceremony::indices},
        {"people", "everybody chooses a PIN", &Ceremony::people},
        {"rosters", "rosters and gates", &Ceremony::rosters},
        {"keys", "keys are born", &Ceremony::keys},
        {"trial", "the officers show that their quorum holds", &Ceremony::trial},
        {"attest", "the TPM certifies what it holds", &Ceremony::attest},
        {"close", "the hierarchies are closed for ever", &Ceremony::close},
        {"transcript", "the transcript", &Ceremony::finish},
    };
    assign_indices();
    for (const Named& named : kSteps) {
      terminal_.show(fmt::format("\n== {}", named.heading));
      if (progress_.has(named.name)) {
        TRY(base::within(named.heading, reopen(named.name)));
        terminal_.show("   done before the interruption");
        continue;
      }
      TRY(base::within(named.heading, (this->*named.step)()));
      TRY(progress_.done(named.name));
    }
    return {};
  }

 private:
  void say(const std::string& line) {
    const std::string fact = printable(line);   // the TPM's maker words a part of it, and it must stay one line
    terminal_.show("   " + fact);
    progress_.say(fact);
  }
  // One index for each person, whatever rosters they are on.
  void assign_indices() {
    for (std::size_t i = 0; i < file_.administrators.size(); ++i)
      administrators_.officers.push_back({file_.administrators[i], attest::kFirstAdministrator + static_cast<std::uint32_t>(i)});
    administrators_.m = file_.administrators_quorum;
    std::map<std::string, std::uint32_t> known;
    for (const CeremonyClass& made : file_.key_classes) {
      tpm::Quorum quorum{made.quorum, {}};
      for (const std::string& name : made.officers) {
        const auto [found, is_new] = known.emplace(name, attest::kFirstOfficer + static_cast<std::uint32_t>(known.size()));
        quorum.officers.push_back({name, found->second});
        if (is_new) officers_.push_back(quorum.officers.back());
      }
      rosters_.push_back(std::move(quorum));
    }
  }
  // What a step that was done in an earlier run left for the later ones.
  Result<void> reopen(const std::string& step) {
    if (step == "indices") return open_gate();
    if (step == "attest") {
      const Bytes text = TRY(usb::read_file(layout_.ceremony() / "draft.json", transparency::kTranscriptBytes));
      transcript_ = TRY(Transcript::from_json(base::as_text(text)));
    }
    return {};
  }

  Result<void> begin() {
    say(fmt::format("TPM: {}, firmware {:x}{}", device_->manufacturer(), device_->firmware(),
                    device_->is_software() ? " (software: development only)" : ""));
    if (!progress_.has("looked")) {
      const std::vector<std::string> of_the_machine = TRY(tpm::expect_empty(*device_));
      if (!of_the_machine.empty())
        say(fmt::format("the machine's firmware keeps {} in the TPM, where a clear leaves it and nothing of this appliance uses it", some_of(of_the_machine)));
      const std::vector<std::string> objections = TRY(tpm::objections(*device_, file_.mode));
      for (const std::string& objection : objections) terminal_.show("   objection: " + objection);
      if (!objections.empty()) return fail(Errc::refused, "this TPM cannot hold the promises");
      if (has_anything(layout_.keys())) return fail(Errc::refused, fmt::format("{} is not empty: this appliance has keys", layout_.keys().string()));
      TRY(progress_.done("looked"));
    }
    say("the TPM is empty, and can do what is needed");
    TRY(save_srk_name(layout_, device_->srk_name()));
    TRY(save_firmware_trust(layout_, file_.mode, file_.vendors));
    TRY(save_firmware_approval(layout_, file_.approval));
    TRY(save_administrators(layout_, administrators_));
    TRY(tpm::make_identity_keys(*device_));
    say(fmt::format("mode: {}, for the life of these keys", attest::mode_name(file_.mode)));
    say("storage root key " + base::hex(device_->srk_name()));
    return {};
  }

  Result<void> open_gate() {
    attest::FirmwareMap map = TRY(load_firmware_map(layout_));
    gate_ = std::make_unique<tpm::FirmwareGate>(TRY(tpm::FirmwareGate::load(*device_, std::move(map), file_.approval)));
    return gate_->test();
  }

  Result<void> indices() {
    const attest::FirmwareMap map = TRY(load_firmware_map(layout_));
    TRY(tpm::establish(*device_, attest::floor_index(), base::ByteWriter().u64be(file_.floor).bytes()));
    TRY(tpm::establish(*device_, attest::config_index(), configuration_.digest.bytes()));
    TRY(tpm::establish(*device_, attest::self_index(), attest::roster_bytes(attest::self_tree().digest())));
    Bytes random(attest::kWordsBytes);
    keys::fill_random(random);
    TRY(tpm::establish(*device_, map.words(), random));
    TRY(tpm::establish(*device_, map.gate()));
    TRY(open_gate());
    say(fmt::format("the firmware that runs is version {}, approved by a vendor; floor {}", file_.approval.version, file_.floor));
    for (const attest::NvPublic& area : {map.audit_extend(), map.audit_count()}) {
      const Result<Bytes> written = tpm::read_public_index(*device_, area);
      if (!written) TRY(tpm::establish(*device_, attest::unwritten(area)));
    }
    tpm::AuditAnchor anchor(*device_, *gate_);
    TRY(anchor.begin());
    const tpm::AnchorState state = TRY(anchor.state());
    const crypto::Digest no_line = *crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, Bytes(32, 0));
    TRY(tpm::establish(*device_, attest::baseline_index(), tpm::baseline_bytes({state.count, state.extended, no_line})));
    say(fmt::format("the audit log is anchored from count {} on", state.count));
    const std::string words = TRY(gate_->words());
    terminal_.show(fmt::format("   this box says: {}", words));
    terminal_.show("   everybody: remember these two words; before every PIN the box must show them");
    return {};
  }

  Result<void> person(const tpm::Officer& person, const std::string& role) {
    const std::string step = fmt::format("person {:#010x}", person.nv_index);
    if (progress_.has(step)) return {};
    // An index of an interrupted run: nobody knows whether its PIN is the one that was typed last.
    if (const Result<void> removed = tpm::remove_officer(*device_, person); !removed && removed.error().code() != Errc::not_found)
      return removed;
    const base::SecretBytes pin = TRY(new_pin(person.name, terminal_));
    TRY(tpm::define_officer(*device_, person, pin));
    say(fmt::format("{} {} is enrolled: NV index {:#010x}, {} tries", role, person.name, person.nv_index, tpm::kPinTries));
    return progress_.done(step);
  }

  Result<void> people() {
    terminal_.show("   one after the other; nobody looks on, nobody writes a PIN down");
    for (const tpm::Officer& one : administrators_.officers) TRY(person(one, "administrator"));
    for (const tpm::Officer& one : officers_) TRY(person(one, "officer"));
    return {};
  }

  static Result<attest::QuorumTree> tree_of(const tpm::Quorum& quorum) {
    std::vector<attest::Name> names;
    for (const tpm::Officer& officer : quorum.officers) names.push_back(attest::name_of(attest::person_index(officer.nv_index)));
    return attest::QuorumTree::build(quorum.m, std::move(names));
  }

  Result<void> rosters() {
    const attest::QuorumTree administrators = TRY(tree_of(administrators_));
    TRY(tpm::establish(*device_, attest::administrators_index(), attest::roster_bytes(attest::owner_roster(administrators))));
    say(fmt::format("administrators: any {} of {}", administrators_.m, administrators_.officers.size()));
    for (unsigned slot = 0; slot < rosters_.size(); ++slot) {
      const attest::QuorumTree tree = TRY(tree_of(rosters_[slot]));
      TRY(tpm::establish(*device_, attest::roster_index(slot), attest::roster_bytes(tree.digest())));
      TRY(tpm::establish(*device_, attest::quorum_gate(slot)));
      say(fmt::format("key class {}: any {} of {} officers", file_.key_classes[slot].name, rosters_[slot].m, rosters_[slot].officers.size()));
    }
    return {};
  }

  Result<void> keys() {
    if (!is_there(layout_.receipt_key())) {
      tpm::NewKey made = TRY(tpm::ReceiptKey::create(*device_, *gate_));
      const std::unique_ptr<tpm::ReceiptKey> key = TRY(tpm::ReceiptKey::load(*device_, *gate_, made.blob));
      TRY(StoredReceiptKey{std::move(made.blob), key->public_key(), std::move(made.birth)}.save(layout_));
    }
    const StoredReceiptKey receipt = TRY(StoredReceiptKey::load(layout_));
    say(fmt::format("receipt key made: {}", receipt.public_key.keyid()));
    say(fmt::format("as words: {}", base::fingerprint_words(crypto::sha256(receipt.public_key.der()).bytes())));
    terminal_.show(fmt::format("   its public half, for whoever checks receipts: {}", (layout_.receipt_key() / "key.pem").string()));
    for (unsigned slot = 0; slot < rosters_.size(); ++slot) {
      const std::string& name = file_.key_classes[slot].name;
      if (!is_there(layout_.key_class(name))) {
        terminal_.show("   the TPM makes an RSA-3072 key; this takes up to a minute");
        tpm::NewKey made = TRY(tpm::QuorumKey::create(*device_, *gate_, slot, crypto::KeyAlgorithm::rsa_pkcs1));
        const tpm::QuorumKey key = TRY(tpm::QuorumKey::load(*device_, *gate_, slot, made.blob, rosters_[slot]));
        TRY(KeyClass{name, slot, std::move(made.blob), rosters_[slot], key.name(), key.public_key(), {}, std::move(made.birth)}.save(layout_));
      }
      const KeyClass key_class = TRY(KeyClass::load(layout_, name));
      say(fmt::format("key name      {}", base::hex(key_class.key_name)));
      say(fmt::format("as words      {}", base::fingerprint_words(crypto::sha256(key_class.key_name).bytes())));
    }
    terminal_.show("   everybody: write the words down");
    return {};
  }

  // m - 1 officers do not sign, m do, and not another digest than the one they approved.
  Result<void> trial() {
    for (unsigned slot = 0; slot < rosters_.size(); ++slot) {
      const std::string& name = file_.key_classes[slot].name;
      const std::string step = "trial " + name;
      if (progress_.has(step)) continue;
      const KeyClass key_class = TRY(KeyClass::load(layout_, name));
      tpm::QuorumKey key = TRY(tpm::QuorumKey::load(*device_, *gate_, slot, key_class.blob, key_class.quorum));
      const crypto::Digest approved = crypto::sha256(base::as_bytes("trial of " + name + " at the ceremony " + file_.digest.hex()));
      const crypto::Digest other = crypto::sha256(base::as_bytes("what nobody approved"));
      const std::vector<crypto::Digest> digests = {approved};
      const std::string words = TRY(gate_->words());
      terminal_.show(fmt::format("   key class {}: {} officers approve a trial signature. this box says: {}", name, key_class.quorum.m, words));
      const std::vector<tpm::Approval> approvals =
          TRY(collect_approvals(key_class.quorum.m, "officer", terminal_,
                                [&](const std::string& officer, base::SecretBytes pin) { return key.approve(officer, std::move(pin), digests); },
                                [&](const std::string& officer, const std::string& reason) {
                                  return log_failed_pin(layout_, clock_, key_class.quorum, officer, reason);
                                }));
      const std::span<const tpm::Approval> all(approvals);
      TRY(base::within("one officer too few", key.expect_refused(approved, approved, all.first(all.size() - 1))));
      TRY(base::within("what nobody approved", key.expect_refused(other, approved, all)));
      TRY(base::within("all of them together", key.sign(approved, all)));
      TRY(base::within("a second time", key.expect_refused(approved, approved, all)));
      say(fmt::format("{}: {} officers cannot sign, {} can, nothing but what they approved, and once", name, key_class.quorum.m - 1, key_class.quorum.m));
      TRY(progress_.done(step));
    }
    return {};
  }

  Result<void> attest() {
    Transcript& t = transcript_;
    t.mode = file_.mode;
    t.ceremony_file = file_.digest;
    t.configuration = configuration_.digest;
    t.manufacturer = device_->manufacturer();
    t.storage_root_name = device_->srk_name();
    t.identity = TRY(tpm::identity_public(*device_));
    t.endorsement = TRY(tpm::endorsement_public(*device_));
    TRY(tpm::prove_identity(*device_, keys::fill_random));
    say("identity key and endorsement key are in one TPM: it opened a secret that was made for both outside of it");
    const std::optional<Bytes> certificate = TRY(tpm::endorsement_certificate(*device_));
    if (certificate) {
      t.endorsement_certificate = *certificate;
      TRY(transparency::expect_certificate_of(t.endorsement_certificate, t.endorsement));
    }
    say(certificate ? "the manufacturer's certificate of the endorsement key is in the transcript"
                    : "this TPM has no manufacturer's certificate: who made it is stated, not proved");
    for (const crypto::PublicKey& vendor : file_.vendors) t.vendors.push_back(base::to_bytes(vendor.der()));
    t.firmware_version = file_.approval.version;
    t.firmware_policy = file_.approval.policy;
    t.firmware_signature = file_.approval.signature;
    t.floor = file_.floor;
    t.administrators = described(administrators_);
    const StoredReceiptKey receipt = TRY(StoredReceiptKey::load(layout_));
    t.keys.push_back({"receipt", 0, {}, receipt.blob.public_part, {receipt.birth.statement, receipt.birth.signature}});
    std::vector<attest::NvPublic> areas = {attest::floor_index(), attest::config_index(), attest::self_index(), attest::baseline_index(),
                                           attest::administrators_index(), gate_->map().audit_extend(), gate_->map().audit_count()};
    for (unsigned slot = 0; slot < rosters_.size(); ++slot) {
      const KeyClass made = TRY(KeyClass::load(layout_, file_.key_classes[slot].name));
      t.keys.push_back({made.name, slot, described(rosters_[slot]), made.blob.public_part, {made.birth.statement, made.birth.signature}});
      areas.push_back(attest::roster_index(slot));
    }
    for (const tpm::Officer& person : administrators_.officers) areas.push_back(attest::person_index(person.nv_index));
    for (const tpm::Officer& person : officers_) areas.push_back(attest::person_index(person.nv_index));
    for (const attest::NvPublic& area : areas) {
      tpm::Attestation content = TRY(tpm::certify_index(*device_, area, file_.digest.bytes()));
      t.indices.push_back({area.index, {std::move(content.statement), std::move(content.signature)}});
    }
    say(fmt::format("{} indices and {} keys are certified by the identity key", t.indices.size(), t.keys.size()));
    TRY(usb::write_file(layout_.ceremony() / "draft.json", base::as_bytes(t.to_json())));
    return {};
  }

  Result<void> close() {
    TRY(tpm::close_hierarchies(*device_, keys::fill_random));
    TRY(tpm::expect_closed(*device_));
    say("owner, lockout and endorsement have passwords that nobody knows; an index could not be defined any more (0x9a2)");
    say(fmt::format("from now on any {} administrators together are the owner, and nobody else", administrators_.m));
    return {};
  }

  Result<void> finish() {
    // Perhaps another run has closed them, before the power went: the transcript says it of the TPM that quotes it now.
    TRY(tpm::expect_closed(*device_));
    transcript_.stated = progress_.said();
    SignedTranscript whole{transcript_, {}};
    const crypto::Digest digest = crypto::sha256(base::as_bytes(whole.transcript.to_json()));
    tpm::Attestation quote = TRY(tpm::quote(*device_, digest.bytes()));
    whole.quote = {std::move(quote.statement), std::move(quote.signature)};
    for (const transparency::TranscriptCheck& check : transparency::check_transcript(whole, {}))
      if (!check.good) return fail(Errc::mismatch, check.text);
    TRY(usb::write_file(layout_.ceremony() / "transcript.json", base::as_bytes(whole.to_json() + "\n")));
    terminal_.show(fmt::format("   {}", (layout_.ceremony() / "transcript.json").string()));
    terminal_.show("   transcript as words: " + base::fingerprint_words(digest.bytes()));
    terminal_.show("   everybody: write these words down and sign the paper; coldseal verify-transcript shows them again");
    return {};
  }

  const Layout& layout_;
  CeremonyFile file_;
  Configuration configuration_;
  Terminal& terminal_;
  Progress progress_;
  std::unique_ptr<tpm::Device> device_;
  const Clock& clock_;
  std::unique_ptr<tpm::FirmwareGate> gate_;   // after device_: it goes first
  tpm::Quorum administrators_;
  std::vector<tpm::Officer> officers_;
  std::vector<tpm::Quorum> rosters_;   // by slot
  Transcript transcript_;
};

}  // namespace

Result<void> run_ceremony(const Layout& layout, const std::filesystem::path& path, Terminal& terminal, const Clock& clock) {
  CeremonyFile file = TRY(CeremonyFile::load(path));
  Configuration configuration = TRY(Configuration::load(layout));
  if (file.mode != configuration.mode)
    return fail(Errc::refused, fmt::format("the ceremony is for {} mode and coldseal.toml says {}: they must agree", attest::mode_name(file.mode),
                                           attest::mode_name(configuration.mode)));
  const TpmLock lock = TRY(TpmLock::take(layout));
  if (is_there(layout.ceremony() / "transcript.json"))
    return fail(Errc::refused, "the ceremony of this appliance is over; changes are made with coldseal-admin by the administrators");
  Progress progress = TRY(Progress::open(layout.ceremony(), file.digest));
  terminal.show(fmt::format("ceremony: {}{}", printable(file.title), progress.begun() ? " (it goes on where it was interrupted)" : ""));
  terminal.show(fmt::format("mode      {}", attest::mode_name(file.mode)));
  terminal.show("file      " + base::fingerprint_words(file.digest.bytes()));
  terminal.show("coldseal.toml  " + base::fingerprint_words(configuration.digest.bytes()));
  terminal.show("read these words aloud; everybody compares them with those of the file that was reviewed");
  const std::string agreed = TRY(terminal.ask("type yes when they agree: "));
  if (agreed != "yes") return fail(Errc::refused, "nothing was done");
  std::unique_ptr<tpm::Device> device = TRY(tpm::Device::open(configuration.tpm));
  Ceremony ceremony(layout, std::move(file), std::move(configuration), terminal, std::move(progress), std::move(device), clock);
  return ceremony.run();
}

}  // namespace appliance
