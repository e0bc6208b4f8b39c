#include "tests/support/forged_request.hpp"

#include <stdexcept>

#include "crypto/base/limits.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "crypto/transparency/dsse.hpp"
#include "tests/support/results.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace fs = std::filesystem;

ForgedRequest::ForgedRequest(const ApplianceRig& rig, const fs::path& package, const fs::path& folder)
    : rig_(&rig), folder_(folder), id_(rig.make_request(package, "10_X64", folder, {"--force"})) {
  const std::string text = read_text(manifest());
  const auto envelope = must(transparency::Envelope::parse(text, base::limits::kManifestBytes));
  const std::string pem = read_text(fs::path(rig.submitter_key()).replace_extension(".pub.pem"));
  payload_ = must(envelope.verify(must(crypto::PublicKey::parse_pem(pem)), transparency::kRequestPayloadType));
}

void ForgedRequest::sign_payload(const std::string& payload, const fs::path& key_file, std::string_view payload_type) {
  const std::string pem = read_text(key_file.empty() ? rig_->submitter_key() : key_file);
  auto key = must(keys::SubmitterKey::from_pem(pem, nullptr));
  const auto envelope = must(transparency::Envelope::sign(payload_type, payload, key));
  const fs::path before = path();
  id_ = envelope.payload_digest().hex();
  payload_ = payload;
  if (before != path()) fs::rename(before, path());
  write_text(manifest(), envelope.text());
}

std::string ForgedRequest::payload_with(std::string_view what, std::string_view by) const {
  std::string changed = payload_;
  const std::size_t at = changed.find(what);
  if (at == std::string::npos) throw std::runtime_error("\"" + std::string(what) + "\" is not in the payload:\n" + payload_);
  return changed.replace(at, what.size(), by);
}

void ForgedRequest::into_inbox() const {
  const fs::path inbox = rig_->state() / "inbox";
  fs::create_directories(inbox);
  fs::copy(path(), inbox / (id_ + ".part"), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  fs::rename(inbox / (id_ + ".part"), inbox / id_);
}

}  // namespace tests
