#include "crypto/keys/pem.hpp"

#include <fmt/format.h>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace keys {

using base::Errc;
using base::fail;

Result<std::vector<PemBlock>> pem_blocks(std::string_view text) {
  if (text.size() > base::limits::kPemBytes)
    return fail(Errc::too_large, fmt::format("PEM text of {} bytes, at most {}", text.size(), base::limits::kPemBytes));
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kDashes = "-----";
  std::vector<PemBlock> blocks;
  for (std::size_t at = text.find(kBegin); at != std::string_view::npos; at = text.find(kBegin, at)) {
    if (blocks.size() == base::limits::kCertificates)
      return fail(Errc::too_large, fmt::format("more than {} PEM blocks", base::limits::kCertificates));
    const std::size_t label_at = at + kBegin.size();
    const std::size_t label_end = text.find(kDashes, label_at);
    if (label_end == std::string_view::npos) return fail(Errc::malformed, "PEM block without the end of its first line");
    const std::string label(text.substr(label_at, label_end - label_at));
    const std::string last_line = fmt::format("-----END {}-----", label);
    const std::size_t body_at = label_end + kDashes.size();
    const std::size_t body_end = text.find(last_line, body_at);
    if (body_end == std::string_view::npos)
      return fail(Errc::malformed, fmt::format("PEM block \"{}\" without its last line", base::printable(label)));
    std::string body;
    for (const char c : text.substr(body_at, body_end - body_at))
      if (c != '\n' && c != '\r' && c != ' ' && c != '\t') body += c;
    Bytes der = TRY(base::within(fmt::format("PEM block \"{}\"", base::printable(label)), base::from_base64(body)));
    blocks.push_back({label, std::move(der)});
    at = body_end + last_line.size();
  }
  return blocks;
}

Result<Bytes> single_pem_block(std::string_view text, std::string_view label) {
  std::vector<PemBlock> blocks = TRY(pem_blocks(text));
  if (blocks.size() != 1 || blocks.front().label != label)
    return fail(Errc::malformed, fmt::format("one PEM block \"{}\" wanted, {} found{}", label, blocks.size(),
                                             blocks.empty() ? "" : ", the first \"" + base::printable(blocks.front().label) + "\""));
  return std::move(blocks.front().der);
}

std::string pem_block(std::string_view label, ByteView der) {
  constexpr std::size_t kColumns = 64;
  const std::string body = base::base64(der);
  std::string text = fmt::format("-----BEGIN {}-----\n", label);
  for (std::size_t at = 0; at < body.size(); at += kColumns) text += body.substr(at, kColumns) + "\n";
  return text + fmt::format("-----END {}-----\n", label);
}

}  // namespace keys
