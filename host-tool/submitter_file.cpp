#include "host-tool/submitter_file.hpp"

#include <fmt/format.h>

#include "crypto/base/limits.hpp"
#include "crypto/keys/pkcs8.hpp"
#include "host-tool/terminal.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {

base::Result<keys::SubmitterKey> submitter_key_from(const std::string& file, const std::string& pass_phrase_file) {
  const base::Bytes bytes = TRY(usb::read_file(file, base::limits::kPemBytes));
  const std::string_view pem = base::as_text(bytes);
  if (!keys::is_encrypted_pkcs8_pem(pem)) return base::within(file, keys::SubmitterKey::from_pem(pem, nullptr));
  const base::SecretBytes pass_phrase =
      TRY(pass_phrase_file.empty() ? ask_pass_phrase(fmt::format("Pass phrase of {}: ", file)) : pass_phrase_from_file(pass_phrase_file));
  return base::within(file, keys::SubmitterKey::from_pem(pem, &pass_phrase));
}

}  // namespace host_tool
