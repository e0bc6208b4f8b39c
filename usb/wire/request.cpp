#include "usb/wire/request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/canonical_json.hpp"
#include "crypto/transparency/json_fields.hpp"
#include "usb/wire/package_path.hpp"

namespace wire {
namespace {

using base::Errc;
using base::fail;
using base::Result;
using transparency::Fields;
using transparency::Json;

Result<std::string> profile_of(Fields& manifest) {
  std::string profile = TRY(manifest.text("profile", 1, base::limits::kNameBytes));
  if (!transparency::is_name(profile)) return fail(Errc::malformed, "manifest: profile: not a name (A-Z a-z 0-9 . _ -)");
  return profile;
}

Result<std::vector<std::string>> os_targets_of(Fields& manifest) {
  const auto* const list = TRY(manifest.list("os", 1, base::limits::kOsTargets));
  std::vector<std::string> targets;
  std::set<std::string> seen;
  for (const Json& item : *list) {
    if (!item.is_string() || !transparency::is_name(item.get_ref<const std::string&>()))
      return fail(Errc::malformed, fmt::format("manifest: os[{}]: not a name (A-Z a-z 0-9 . _ -)", targets.size()));
    targets.push_back(item.get<std::string>());
    if (!seen.insert(base::lower_ascii(targets.back())).second)
      return fail(Errc::malformed, fmt::format("manifest: os: \"{}\" is given twice", targets.back()));
  }
  return targets;
}

Result<std::vector<Operation>> operations_of(Fields& manifest) {
  const auto* const list = TRY(manifest.list("operations", 1, base::limits::kOperations));
  std::vector<Operation> operations;
  for (const Json& item : *list) {
    if (!item.is_string()) return fail(Errc::malformed, "manifest: operations: not text");
    const Operation operation =
        TRY(base::within("manifest: operations", operation_from_name(item.get_ref<const std::string&>())));
    if (!operations.empty() && operation <= operations.back())
      return fail(Errc::malformed, "manifest: operations: each once, in the order embed, catalog, append, cabinet, page-hashes");
    operations.push_back(operation);
  }
  const auto has = [&](Operation wanted) { return std::find(operations.begin(), operations.end(), wanted) != operations.end(); };
  if (has(Operation::page_hashes) && !has(Operation::embed) && !has(Operation::append))
    return fail(Errc::malformed, "manifest: operations: page-hashes says how to embed or append, neither of which is asked for");
  return operations;
}

Result<FileEntry> file_of(const Json& item, std::size_t index) {
  Fields fields = TRY(Fields::of(item, fmt::format("manifest: files[{}]", index)));
  std::string path = TRY(fields.text("path", 1, base::limits::kFactTextBytes));   // kPathBytes is the path's own rule
  const std::uint64_t size = TRY(fields.number("size", base::limits::kFileBytes));
  const crypto::Digest sha256 = TRY(fields.sha256("sha256"));
  TRY(fields.expect_no_others());
  return FileEntry{std::move(path), size, sha256};
}

Result<std::vector<FileEntry>> files_of(Fields& manifest) {
  const auto* const list = TRY(manifest.list("files", 1, base::limits::kPackageFiles));
  std::vector<FileEntry> files;
  std::vector<std::string> paths;
  std::uint64_t total = 0;   // cannot overflow: kPackageFiles times kFileBytes is far below 2^64
  for (const Json& item : *list) {
    FileEntry file = TRY(file_of(item, files.size()));
    if (!paths.empty() && file.path <= paths.back())
      return fail(Errc::malformed, fmt::format("manifest: files[{}]: not sorted by path", paths.size()));
    paths.push_back(file.path);
    total += file.size;
    files.push_back(std::move(file));
  }
  if (total > base::limits::kPackageBytes)
    return fail(Errc::too_large, fmt::format("manifest: files: {} bytes together, at most {}", total,
                                             base::limits::kPackageBytes));
  TRY(base::within("manifest: files", expect_distinct_paths(paths)));
  return files;
}

}  // namespace

bool is_request_id(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string_view operation_name(Operation operation) {
  switch (operation) {
    case Operation::embed:
      return "embed";
    case Operation::catalog:
      return "catalog";
    case Operation::append:
      return "append";
    case Operation::cabinet:
      return "cabinet";
    case Operation::page_hashes:
      return "page-hashes";
  }
  base::stop("no such operation");
}

Result<Operation> operation_from_name(std::string_view name) {
  for (const Operation operation : {Operation::embed, Operation::catalog, Operation::append, Operation::cabinet,
                                    Operation::page_hashes})
    if (name == operation_name(operation)) return operation;
  return fail(Errc::malformed, fmt::format("\"{}\" is not an operation; embed, catalog, append, cabinet or page-hashes wanted", base::printable(name)));
}

Result<Request> Request::from_json(std::string_view json) {
  const Json value = TRY(base::within("manifest", transparency::parse_canonical(json, base::limits::kManifestBytes)));
  Fields manifest = TRY(Fields::of(value, "manifest"));
  Request request;
  request.profile = TRY(profile_of(manifest));
  request.os_targets = TRY(os_targets_of(manifest));
  request.operations = TRY(operations_of(manifest));
  request.note = TRY(manifest.text("note", 0, base::limits::kNoteBytes));
  request.created = TRY(manifest.time("created"));
  const base::Bytes nonce = TRY(manifest.hex("nonce", request.nonce.size()));
  std::copy(nonce.begin(), nonce.end(), request.nonce.begin());
  request.files = TRY(files_of(manifest));
  TRY(manifest.expect_no_others());
  return request;
}

std::string Request::to_json() const {
  Json list = Json::array();
  for (const FileEntry& file : files)
    list.push_back({{"path", file.path}, {"sha256", file.sha256.hex()}, {"size", file.size}});
  Json names = Json::array();
  for (const Operation operation : operations) names.push_back(std::string(operation_name(operation)));
  return transparency::canonical({{"created", base::rfc3339(created)},
                                  {"files", std::move(list)},
                                  {"nonce", base::hex(nonce)},
                                  {"note", note},
                                  {"operations", std::move(names)},
                                  {"os", os_targets},
                                  {"profile", profile}});
}

std::string Request::id() const { return crypto::sha256(base::as_bytes(to_json())).hex(); }

std::array<std::uint8_t, 16> Request::list_identifier(std::string_view catalog_name) const {
  constexpr std::string_view kPurpose("coldseal catalog list identifier\0", 33);
  const crypto::Digest digest = std::move(crypto::Hasher(crypto::DigestAlgorithm::sha256)
                                              .update(base::as_bytes(kPurpose))
                                              .update(nonce)
                                              .update(base::as_bytes(base::lower_ascii(catalog_name))))
                                    .finish();
  std::array<std::uint8_t, 16> identifier{};
  std::copy_n(digest.bytes().begin(), identifier.size(), identifier.begin());
  return identifier;
}

}  // namespace wire
