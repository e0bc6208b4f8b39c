// The signed manifest of a request (docs/exchange-format.md): what is to be signed and how, every file with size and
// digest. Canonical JSON inside a DSSE envelope, signed by the submitter; the id is the SHA-256 of the JSON.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/digest.hpp"

namespace wire {

// The names of everything that crosses the gap, so that both sides agree on them.
inline constexpr std::string_view kRequestsFolder = "coldseal/requests";
inline constexpr std::string_view kResponsesFolder = "coldseal/responses";
inline constexpr std::string_view kManifestName = "request.dsse.json";
inline constexpr std::string_view kReceiptName = "receipt.dsse.json";
inline constexpr std::string_view kFilesFolder = "files";

// 64 lower-case hex digits: the name of a request's folder, and how log, receipts and people refer to it.
bool is_request_id(std::string_view text);

enum class Operation : std::uint8_t {
  embed,     // embed a signature in every PE file that has none
  catalog,   // make the catalogs that the INFs name, and sign them
  append,        // nest a signature in every PE file and cabinet that has one
  cabinet,       // sign every cabinet that has no signature
  page_hashes,   // digests of every page in the signatures of PE files; goes with embed or append
};
std::string_view operation_name(Operation operation);
base::Result<Operation> operation_from_name(std::string_view name);

struct FileEntry {
  std::string path;   // see package_path.hpp
  std::uint64_t size = 0;   // bytes
  crypto::Digest sha256;    // of the file's bytes
};

struct Request {
  // Errc::malformed for JSON that is not canonical, has unknown or missing fields or breaks a limit; Errc::refused for
  // a path that is not allowed.
  static base::Result<Request> from_json(std::string_view json);
  std::string to_json() const;   // RFC 8785
  std::string id() const;        // SHA-256 of to_json(), hex
  // 16 bytes for a catalog's listIdentifier, different for each catalog of the request: the first bytes of
  // SHA-256("coldseal catalog list identifier" 00 nonce lower-case-catalog-name).
  std::array<std::uint8_t, 16> list_identifier(std::string_view catalog_name) const;

  std::string profile;
  std::vector<std::string> os_targets;   // as given to Inf2Cat's /os:, canonical case of package::os_targets
  std::vector<Operation> operations;     // at least one, each once, in enum order
  std::string note;                      // UTF-8, may be empty
  base::Time created{};                  // also the catalogs' thisUpdate
  std::array<std::uint8_t, 16> nonce{};
  std::vector<FileEntry> files;          // sorted by path, at least one
};

}  // namespace wire
