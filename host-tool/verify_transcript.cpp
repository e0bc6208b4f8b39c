// coldseal verify-transcript: what an auditor can prove of a ceremony, with its transcript and nothing else.
#include <fmt/format.h>

#include <memory>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/words.hpp"
#include "crypto/transparency/transcript.hpp"
#include "crypto/verify_signature.hpp"
#include "host-tool/command.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {
namespace {

using base::Result;

struct TranscriptOptions {
  std::string file;
  std::string identity;
  std::string makers;
};

Result<Exit> verify(const TranscriptOptions& options) {
  const base::Bytes text = TRY(usb::read_file(options.file, transparency::kTranscriptBytes));
  const transparency::SignedTranscript whole =
      TRY(base::within(options.file, transparency::SignedTranscript::from_json(base::as_text(text))));
  base::Bytes wanted;
  if (!options.identity.empty()) {
    const base::Bytes pem = TRY(usb::read_file(options.identity, base::limits::kPemBytes));
    const crypto::PublicKey key = TRY(base::within(options.identity, crypto::PublicKey::parse_pem(base::as_text(pem))));
    wanted = base::to_bytes(key.der());
  }
  std::vector<crypto::Certificate> makers;
  if (!options.makers.empty()) {
    const base::Bytes pem = TRY(usb::read_file(options.makers, base::limits::kPemBytes));
    makers = TRY(base::within(options.makers, crypto::certificates_from_pem(base::as_text(pem))));
  }
  const transparency::Transcript& t = whole.transcript;
  fmt::print("{}, {}, {} mode, TPM {}\n", base::printable(t.title), base::rfc3339(t.at), attest::mode_name(t.mode),
             base::printable(t.manufacturer));
  bool good = true;
  for (const transparency::TranscriptCheck& check : transparency::check_transcript(whole, wanted, makers)) {
    fmt::print("{}  {}\n", check.good ? "proved " : "WRONG  ", base::printable(check.text));
    good = good && check.good;
  }
  for (const std::string& line : t.stated) fmt::print("stated   {}\n", base::printable(line));
  if (t.endorsement_certificate.empty()) fmt::print("not known  whose TPM this is: it has no manufacturer's certificate\n");
  else if (makers.empty()) fmt::print("not known  whether that certificate is a TPM maker's: give the makers' certificates with --makers\n");
  if (wanted.empty()) fmt::print("not known  whether this is your appliance's identity key: give it with --identity\n");
  fmt::print("{}; as words: {}\n", good ? "the transcript holds" : "the transcript does NOT hold",
             base::fingerprint_words(crypto::sha256(base::as_bytes(t.to_json())).bytes()));
  return good ? Exit::done : Exit::refused;
}

}  // namespace

void add_verify_transcript(base::Command& app, Run& run) {
  const auto options = std::make_shared<TranscriptOptions>();
  base::Command command = app.sub("verify-transcript", "Checks the transcript of an appliance's ceremony, without its TPM.");
  command.option("FILE", options->file, "transcript.json").required();
  command.option("--identity", options->identity, "PEM: the identity key that you know to be the appliance's");
  command.option("--makers", options->makers, "PEM: certificate authorities of TPM makers; the endorsement certificate must lead to one");
  command.when_chosen([options, &run] { run = [options] { return verify(*options); }; });
}

}  // namespace host_tool
