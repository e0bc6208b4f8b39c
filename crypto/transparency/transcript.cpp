#include "crypto/transparency/transcript.hpp"

#include <fmt/format.h>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/canonical_json.hpp"
#include "crypto/transparency/json_fields.hpp"
#include "crypto/transparency/proof_json.hpp"

namespace transparency {
namespace {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;

constexpr std::size_t kBlob = 4096;
constexpr std::size_t kIndices = 128;
constexpr std::size_t kStatedFacts = 256;

Json json_of(const TranscriptRoster& roster) {
  Json people = Json::array();
  for (const TranscriptPerson& person : roster.people) people.push_back(Json{{"index", person.index}, {"name", person.name}});
  return Json{{"people", people}, {"quorum", roster.quorum}};
}

// Hexadecimal of any length up to most bytes.
Result<Bytes> blob(Fields& fields, std::string_view name, std::size_t most = kBlob) {
  const std::string text = TRY(fields.text(name, 0, 2 * most));
  return base::within(fields.where() + ": " + std::string(name), base::from_hex(text));
}

Result<TranscriptRoster> roster_at(Fields& fields, std::string_view name) {
  Fields object = TRY(fields.object(name));
  TranscriptRoster roster;
  roster.quorum = TRY(object.number("quorum", base::limits::kOfficers));
  const Json::array_t* const people = TRY(object.list("people", 0, base::limits::kOfficers));
  for (const Json& item : *people) {
    Fields person = TRY(Fields::of(item, object.where() + ".people"));
    TranscriptPerson found;
    found.name = TRY(person.text("name", 1, base::limits::kNameBytes));
    found.index = static_cast<std::uint32_t>(TRY(person.number("index", attest::kLastAdministrator)));
    TRY(person.expect_no_others());
    roster.people.push_back(std::move(found));
  }
  TRY(object.expect_no_others());
  return roster;
}

Json document(const Transcript& transcript) {
  Json vendors = Json::array();
  for (const Bytes& vendor : transcript.vendors) vendors.push_back(base::hex(vendor));
  Json keys = Json::array();
  for (const TranscriptKey& key : transcript.keys)
    keys.push_back(Json{{"birth", json_of(key.birth)},
                        {"name", key.name},
                        {"public", base::hex(key.public_part)},
                        {"roster", json_of(key.roster)},
                        {"slot", key.slot}});
  Json indices = Json::array();
  for (const TranscriptIndex& index : transcript.indices)
    indices.push_back(Json{{"content", json_of(index.content)}, {"index", index.index}});
  return Json{{"administrators", json_of(transcript.administrators)},
              {"at", base::rfc3339(transcript.at)},
              {"ceremonyFile", transcript.ceremony_file.hex()},
              {"configuration", transcript.configuration.hex()},
              {"endorsement", base::hex(transcript.endorsement)},
              {"endorsementCertificate", base::hex(transcript.endorsement_certificate)},
              {"firmwarePolicy", transcript.firmware_policy.hex()},
              {"firmwareSignature", base::hex(transcript.firmware_signature)},
              {"firmwareVersion", transcript.firmware_version},
              {"floor", transcript.floor},
              {"identity", base::hex(transcript.identity)},
              {"indices", indices},
              {"keys", keys},
              {"manufacturer", as_utf8(transcript.manufacturer)},
              {"mode", std::string(attest::mode_name(transcript.mode))},
              {"stated", transcript.stated},
              {"storageRoot", base::hex(transcript.storage_root_name)},
              {"title", as_utf8(transcript.title)},
              {"vendors", vendors}};
}

Result<Transcript> read(const Json& value) {
  Fields fields = TRY(Fields::of(value, "transcript"));
  Transcript read;
  read.title = TRY(fields.text("title", 0, base::limits::kNoteBytes));
  read.at = TRY(fields.time("at"));
  const std::string mode_text = TRY(fields.text("mode", 1, base::limits::kNameBytes));
  const std::optional<attest::Mode> mode = attest::mode_from_name(mode_text);
  if (!mode) return fail(Errc::malformed, "transcript: mode: neither production nor development");
  read.mode = *mode;
  read.ceremony_file = TRY(fields.sha256("ceremonyFile"));
  read.configuration = TRY(fields.sha256("configuration"));
  read.manufacturer = TRY(fields.text("manufacturer", 0, base::limits::kNameBytes));
  read.storage_root_name = TRY(blob(fields, "storageRoot"));
  read.identity = TRY(blob(fields, "identity"));
  read.endorsement = TRY(blob(fields, "endorsement"));
  read.endorsement_certificate = TRY(blob(fields, "endorsementCertificate"));
  const Json::array_t* const vendors = TRY(fields.list("vendors", 2, 2));
  for (const Json& vendor : *vendors) {
    if (!vendor.is_string()) return fail(Errc::malformed, "transcript: vendors: not text");
    Bytes spki = TRY(base::from_hex(vendor.get_ref<const std::string&>()));
    read.vendors.push_back(std::move(spki));
  }
  read.firmware_version = TRY(fields.number("firmwareVersion", std::uint64_t{1} << 53));
  read.firmware_policy = TRY(fields.sha256("firmwarePolicy"));
  read.firmware_signature = TRY(blob(fields, "firmwareSignature"));
  read.floor = TRY(fields.number("floor", std::uint64_t{1} << 53));
  read.administrators = TRY(roster_at(fields, "administrators"));
  const Json::array_t* const keys = TRY(fields.list("keys", 1, attest::kKeyClasses + 1));
  for (const Json& item : *keys) {
    Fields key = TRY(Fields::of(item, "transcript.keys"));
    TranscriptKey found;
    found.name = TRY(key.text("name", 1, base::limits::kNameBytes));
    found.slot = TRY(key.number("slot", attest::kKeyClasses - 1));
    found.roster = TRY(roster_at(key, "roster"));
    found.public_part = TRY(blob(key, "public"));
    found.birth = TRY(proof_at(key, "birth"));
    TRY(key.expect_no_others());
    read.keys.push_back(std::move(found));
  }
  const Json::array_t* const indices = TRY(fields.list("indices", 0, kIndices));
  for (const Json& item : *indices) {
    Fields index = TRY(Fields::of(item, "transcript.indices"));
    TranscriptIndex found;
    found.index = static_cast<std::uint32_t>(TRY(index.number("index", 0x01FFFFFF)));
    found.content = TRY(proof_at(index, "content"));
    TRY(index.expect_no_others());
    read.indices.push_back(std::move(found));
  }
  const Json::array_t* const stated = TRY(fields.list("stated", 0, kStatedFacts));
  for (const Json& line : *stated) {
    if (!line.is_string() || line.get_ref<const std::string&>().size() > base::limits::kNoteBytes)
      return fail(Errc::malformed, "transcript: stated: not text, or too long");
    read.stated.push_back(line.get<std::string>());
  }
  TRY(fields.expect_no_others());
  return read;
}

}  // namespace

Json json_of(const TranscriptProof& proof) {
  return Json{{"signature", base::hex(proof.signature)}, {"statement", base::hex(proof.statement)}};
}

Result<TranscriptProof> proof_at(Fields& fields, std::string_view name) {
  Fields object = TRY(fields.object(name));
  TranscriptProof proof;
  proof.statement = TRY(blob(object, "statement"));
  proof.signature = TRY(blob(object, "signature"));
  TRY(object.expect_no_others());
  return proof;
}

std::string Transcript::to_json() const { return canonical(document(*this)); }

Result<Transcript> Transcript::from_json(std::string_view text) {
  const Json value = TRY(parse_canonical(text, kTranscriptBytes));
  return read(value);
}

std::string SignedTranscript::to_json() const {
  return canonical(Json{{"quote", json_of(quote)}, {"transcript", document(transcript)}});
}

Result<SignedTranscript> SignedTranscript::from_json(std::string_view text) {
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const Json value = TRY(parse_canonical(text, kTranscriptBytes));
  Fields fields = TRY(Fields::of(value, "signed transcript"));
  TranscriptProof quote = TRY(proof_at(fields, "quote"));
  TRY(fields.object("transcript"));
  TRY(fields.expect_no_others());
  Transcript transcript = TRY(read(value.at("transcript")));
  return SignedTranscript{std::move(transcript), std::move(quote)};
}

}  // namespace transparency
