// coldseal key create: a submitter's key. It signs requests, never code.
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>

#include "crypto/base/command_line.hpp"
#include "crypto/base/words.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "host-tool/command.hpp"
#include "host-tool/terminal.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {
namespace {

using base::Errc;
using base::fail;
using base::Result;
using base::SecretBytes;

struct KeyCreateOptions {
  std::string output;
  std::string pass_phrase_file;
  bool no_pass_phrase = false;
};

std::filesystem::path public_key_path(const std::filesystem::path& private_key) {
  std::filesystem::path path = private_key;
  if (path.extension() == ".pem") path.replace_extension();
  path += ".pub.pem";
  return path;
}

Result<SecretBytes> new_pass_phrase(const KeyCreateOptions& options) {
  SecretBytes chosen;
  if (!options.pass_phrase_file.empty()) {
    chosen = TRY(pass_phrase_from_file(options.pass_phrase_file));
  } else {
    chosen = TRY(ask_pass_phrase("Pass phrase for the new key: "));
    const SecretBytes again = TRY(ask_pass_phrase("The same again: "));
    if (!base::equal_secrets(chosen.reveal(), again.reveal()))
      return fail(Errc::usage, "the two pass phrases differ; no key was made");
  }
  if (chosen.size() < kPassPhraseLeast)
    return fail(Errc::usage, fmt::format("a pass phrase has at least {} characters; no key was made", kPassPhraseLeast));
  return chosen;
}

Result<void> expect_absent(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::symlink_status(path, ignored).type() != std::filesystem::file_type::not_found)
    return fail(Errc::refused, fmt::format("{}: is there already, and keys are not overwritten; choose another name",
                                           path.string()));
  return {};
}

Result<Exit> create(const KeyCreateOptions& options) {
  const std::filesystem::path private_path = options.output;
  const std::filesystem::path public_path = public_key_path(private_path);
  TRY(expect_absent(private_path));
  TRY(expect_absent(public_path));
  SecretBytes pass_phrase;
  if (!options.no_pass_phrase) pass_phrase = TRY(new_pass_phrase(options));

  const keys::SubmitterKey key = keys::SubmitterKey::generate();
  const std::string text = key.pem(options.no_pass_phrase ? nullptr : &pass_phrase);
  const mode_t before = umask(S_IRWXG | S_IRWXO);   // never readable by others, not even while it is written
  const Result<crypto::Digest> written = usb::write_file(private_path, base::as_bytes(text));
  umask(before);
  TRY(written);
  TRY(usb::write_file(public_path, base::as_bytes(key.public_key_pem())));
  using std::filesystem::perms;
  std::filesystem::permissions(public_path, perms::owner_read | perms::owner_write | perms::group_read | perms::others_read);

  const crypto::Digest keyid = crypto::sha256(key.public_key_der());
  fmt::print("private key  {}{}\npublic key   {}\nkey id       {}\nin words     {}\n", private_path.string(),
             options.no_pass_phrase ? "  (without a pass phrase)" : "", public_path.string(), keyid.hex(),
             base::fingerprint_words(keyid.bytes()));
  fmt::print("Have an administrator of the appliance enrol the public key; compare the words when they do.\n");
  return Exit::done;
}

}  // namespace

void add_key(base::Command& app, Run& run) {
  base::Command key = app.sub("key", "Keys that sign requests");
  key.needs_sub();
  base::Command command = key.sub(
      "create", "Makes a submitter's key (ECDSA P-256, PKCS#8). It signs requests only, never code.");
  const auto options = std::make_shared<KeyCreateOptions>();
  command.option("-o,--output", options->output, "File for the private key; K.pem gets K.pub.pem beside it")
      .required();
  const base::CommandOption none = command.flag("--no-passphrase", options->no_pass_phrase,
                                              "Leave the private key unencrypted, for build machines");
  command.option("--passphrase-file", options->pass_phrase_file,
                      "Take the pass phrase from the first line of this file instead of the terminal")
      .excludes(none);
  command.footer("Example:\n  coldseal key create -o build-machine.pem");
  command.when_chosen([options, &run] { run = [options] { return create(*options); }; });
}

}  // namespace host_tool
