#include "crypto/transparency/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/transparency/merkle_tree.hpp"

namespace transparency {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;
using crypto::Digest;

namespace {

constexpr std::string_view kSignatureMark = "\xE2\x80\x94 ";   // em dash
constexpr std::string_view kProofType = "c2sp.org/tlog-proof@v1";
constexpr std::size_t kKeyIdBytes = 4;

std::string note_text(const Checkpoint& checkpoint) {
  return fmt::format("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size, base::base64(checkpoint.root.bytes()));
}

Bytes key_id(const crypto::PublicKey& key) {
  const Digest digest = crypto::sha256(key.der());
  return base::to_bytes(digest.bytes().first(kKeyIdBytes));
}

// Takes one line off the front; every line ends with a newline.
Result<std::string_view> take_line(std::string_view& text, std::string_view what) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return fail(Errc::malformed, fmt::format("{}: a line is missing", what));
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

Result<std::uint64_t> decimal(std::string_view text, std::string_view what) {
  if (const auto number = base::whole_number(text)) return *number;
  return fail(Errc::malformed, fmt::format("{}: \"{}\" is not a number", what, base::printable(text.substr(0, 40))));
}

Result<Digest> hash_of_line(std::string_view line) {
  const Bytes bytes = TRY(base::from_base64(line));
  return Digest::from_bytes(crypto::DigestAlgorithm::sha256, bytes);
}

bool is_key_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~' && c != '+'; });
}

struct NoteSignature {
  std::string_view name;
  Bytes key_id;
  Bytes signature;
};
struct Note {
  Checkpoint checkpoint;
  std::vector<NoteSignature> signatures;
};

Result<Note> parse_note(std::string_view text) {
  if (text.size() > base::limits::kCheckpointBytes) return fail(Errc::too_large, fmt::format("checkpoint of {} bytes", text.size()));
  Note note;
  const std::string_view origin = TRY(take_line(text, "checkpoint"));
  if (!is_key_name(origin)) return fail(Errc::malformed, "checkpoint: the first line is no log's name");
  note.checkpoint.origin = origin;
  const std::string_view size = TRY(take_line(text, "checkpoint"));
  note.checkpoint.size = TRY(decimal(size, "checkpoint: number of lines"));
  const std::string_view root = TRY(take_line(text, "checkpoint"));
  note.checkpoint.root = TRY(base::within("checkpoint: root", hash_of_line(root)));
  const std::string_view empty = TRY(take_line(text, "checkpoint"));
  if (!empty.empty()) return fail(Errc::malformed, "checkpoint: an empty line wanted after the root");
  while (!text.empty()) {
    std::string_view line = TRY(take_line(text, "checkpoint: signature"));
    if (note.signatures.size() == base::limits::kCheckpointSignatures) return fail(Errc::too_large, fmt::format("checkpoint: more than {} signatures", base::limits::kCheckpointSignatures));
    if (!line.starts_with(kSignatureMark)) return fail(Errc::malformed, "checkpoint: a line after the empty one is no signature");
    line.remove_prefix(kSignatureMark.size());
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || !is_key_name(line.substr(0, space)))
      return fail(Errc::malformed, "checkpoint: a signature without a key's name");
    const Bytes bytes = TRY(base::within("checkpoint: signature", base::from_base64(line.substr(space + 1))));
    if (bytes.size() <= kKeyIdBytes) return fail(Errc::malformed, "checkpoint: a signature of no bytes");
    const ByteView all(bytes);
    note.signatures.push_back({line.substr(0, space), base::to_bytes(all.first(kKeyIdBytes)), base::to_bytes(all.subspan(kKeyIdBytes))});
  }
  if (note.signatures.empty()) return fail(Errc::malformed, "checkpoint: no signature");
  return note;
}

}  // namespace

std::string log_origin(std::string_view appliance) { return fmt::format("coldseal/{}", appliance); }

Result<std::string> sign_checkpoint(const Checkpoint& checkpoint, crypto::Signer& key) {
  const std::string text = note_text(checkpoint);
  const Bytes signature = TRY(key.sign(crypto::sha256(base::as_bytes(text))));
  const crypto::PublicKey public_key = TRY(crypto::PublicKey::parse(key.public_key_der()));
  Bytes named = key_id(public_key);
  base::append(named, signature);
  return fmt::format("{}\n{}{} {}\n", text, kSignatureMark, checkpoint.origin, base::base64(named));
}

Result<Checkpoint> parse_checkpoint(std::string_view note) {
  Note parsed = TRY(parse_note(note));
  return std::move(parsed.checkpoint);
}

Result<Checkpoint> verify_checkpoint(std::string_view note, const crypto::PublicKey& key) {
  Note parsed = TRY(parse_note(note));
  const Bytes id = key_id(key);
  const Digest digest = crypto::sha256(base::as_bytes(note_text(parsed.checkpoint)));
  for (const NoteSignature& each : parsed.signatures) {
    if (each.name != parsed.checkpoint.origin || each.key_id != id) continue;
    TRY(base::within("checkpoint", key.verify(digest, each.signature)));
    return std::move(parsed.checkpoint);
  }
  return fail(Errc::mismatch, "checkpoint: not signed by that key");
}

std::string TlogProof::text() const {
  std::string text = fmt::format("{}\nindex {}\n", kProofType, index);
  for (const Digest& hash : path) text += base::base64(hash.bytes()) + "\n";
  return text + "\n" + checkpoint;
}

Result<TlogProof> TlogProof::parse(std::string_view text) {
  if (text.size() > base::limits::kCheckpointBytes) return fail(Errc::too_large, fmt::format("log proof of {} bytes", text.size()));
  TlogProof proof;
  const std::string_view type = TRY(take_line(text, "log proof"));
  if (type != kProofType) return fail(Errc::unsupported, fmt::format("log proof: the first line is not {}", kProofType));
  std::string_view index = TRY(take_line(text, "log proof"));
  if (!index.starts_with("index ")) return fail(Errc::malformed, "log proof: the second line gives no index");
  proof.index = TRY(decimal(index.substr(6), "log proof: index"));
  for (std::string_view line = TRY(take_line(text, "log proof")); !line.empty(); line = TRY(take_line(text, "log proof"))) {
    if (proof.path.size() == base::limits::kProofHashes) return fail(Errc::too_large, "log proof: longer than any tree is high");
    const Digest hash = TRY(base::within("log proof", hash_of_line(line)));
    proof.path.push_back(hash);
  }
  TRY(parse_checkpoint(text));
  proof.checkpoint = text;
  return proof;
}

Result<void> TlogProof::expect_leaf(ByteView leaf) const {
  const Checkpoint named = TRY(parse_checkpoint(checkpoint));
  const Digest root = TRY(root_by_inclusion(leaf_hash(leaf), index, named.size, path));
  if (root != named.root) return fail(Errc::mismatch, "log proof: the line is not in the log that the checkpoint names");
  return {};
}

}  // namespace transparency
