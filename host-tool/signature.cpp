// coldseal signature list|remove|extract|attach: the signatures inside a PE image, a cabinet or a catalog, without any key.
#include <fmt/format.h>

#include <memory>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/timestamp.hpp"
#include "host-tool/command.hpp"
#include "host-tool/report.hpp"
#include "host-tool/signed_file.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {
namespace {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;
namespace oids = der::oids;

struct SignatureOptions {
  std::string file, out, signature;
  std::size_t nested = 0;   // 0: the primary signature
  bool append = false, as_entry = false, json = false;
};

Json about(std::string name, base::ByteView der) {
  const auto data = cms::SignedData::parse(der);
  Json entry = {{"name", std::move(name)}, {"bytes", der.size()}};
  if (!data || data->signers().size() != 1) {
    entry["error"] = data ? "other than one signer" : data.error().text();
    return entry;
  }
  const cms::SignerInfo& signer = data->signers().front();
  const auto leaf = data->signer_certificate(signer);
  entry["signer"] = leaf ? leaf->subject() : std::string();
  entry["digestAlgorithm"] = crypto::digest_name(signer.digest_algorithm);
  const auto content = formats::IndirectData::parse(data->content_der());
  entry["digest"] = content ? Json(content->digest.hex()) : Json(nullptr);
  entry["pageHashes"] = nullptr;
  if (content)
    if (const auto pages = formats::page_hashes_of(content->value); pages && *pages)
      entry["pageHashes"] = (*pages)->version == formats::PageHashVersion::v1 ? "SHA-1" : "SHA-256";
  entry["timestamp"] = nullptr;
  if (const cms::Attribute* const stamp = signer.unsigned_attribute(oids::kSpcRfc3161Timestamp))
    if (const auto token = crypto::TimestampToken::parse(stamp->values.front()))
      entry["timestamp"] = base::rfc3339(token->time());
  if (signer.unsigned_attribute(oids::kCounterSignature) != nullptr) entry["timestamp"] = "legacy countersignature";
  return entry;
}

void add_with_nested(base::ByteView der, const std::string& name, const std::string& nested_name, Json& all) {
  all.push_back(about(name, der));
  const auto nested = cms::nested_signatures(der);
  for (std::size_t i = 0; nested && i < nested->size(); ++i)
    all.push_back(about(fmt::format("{} {}", nested_name, i + 1), (*nested)[i]));
}

Result<Exit> list(const SignatureOptions& options) {
  const SignedFile file = TRY(SignedFile::open(options.file));
  Json all = Json::array();
  for (std::size_t i = 0; i < file.signatures().size(); ++i)
    add_with_nested(file.signatures()[i], i == 0 ? "primary" : fmt::format("entry {}", i + 1),
                    i == 0 ? "nested" : fmt::format("entry {}, nested", i + 1), all);
  for (const SignedFile::OtherEntry& entry : file.other_entries())
    all.push_back({{"name", fmt::format("entry of type {:#06x}", entry.type)}, {"bytes", entry.bytes}});
  if (options.json) {
    print_json({{"file", options.file}, {"signatures", std::move(all)}});
    return Exit::done;
  }
  if (all.empty()) fmt::print("no signature\n");
  for (const Json& entry : all) {
    fmt::print("{}\n", entry["name"].get<std::string>());
    for (const auto& [key, value] : entry.items())
      if (key != "name" && !value.is_null())
        fmt::print("  {:<16} {}\n", key, base::printable(value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return Exit::done;
}

// The file's signatures, the first one as given.
std::vector<Bytes> with_first(const SignedFile& file, Bytes first) {
  std::vector<Bytes> signatures = file.signatures();
  signatures.front() = std::move(first);
  return signatures;
}

Result<std::size_t> index_of(const SignatureOptions& options, const std::vector<Bytes>& nested) {
  if (options.nested > nested.size())
    return fail(Errc::refused, fmt::format("{} nested signatures, number {} wanted", nested.size(), options.nested));
  return options.nested - 1;
}

Result<Exit> remove(const SignatureOptions& options) {
  const SignedFile file = TRY(SignedFile::open(options.file));
  const Bytes* const first = TRY(file.first_signature());
  if (options.nested == 0) {   // the nested ones go with it: they live inside
    TRY(file.replace(options.out, {}));
    return Exit::done;
  }
  std::vector<Bytes> nested = TRY(cms::nested_signatures(*first));
  const std::size_t index = TRY(index_of(options, nested));
  nested.erase(nested.begin() + static_cast<std::ptrdiff_t>(index));
  Bytes edited = TRY(cms::with_nested_signatures(*first, nested));
  TRY(file.replace(options.out, with_first(file, std::move(edited))));
  return Exit::done;
}

Result<Exit> extract(const SignatureOptions& options) {
  const SignedFile file = TRY(SignedFile::open(options.file));
  const Bytes* const first = TRY(file.first_signature());
  Bytes signature = *first;
  if (options.nested != 0) {
    const std::vector<Bytes> nested = TRY(cms::nested_signatures(*first));
    const std::size_t index = TRY(index_of(options, nested));
    signature = nested[index];
  }
  TRY(usb::write_file(options.out, signature));
  return Exit::done;
}

// What the signature is over is compared here; trust is verify's.
Result<Exit> attach(const SignatureOptions& options) {
  if (options.append && options.as_entry) return fail(Errc::usage, "--append and --entry exclude each other");
  const SignedFile file = TRY(SignedFile::open(options.file));
  Bytes signature = TRY(usb::read_file(options.signature, base::limits::kSignatureBytes));
  TRY(base::within(options.signature, file.expect_signature_for(signature)));
  if (options.as_entry) {
    std::vector<Bytes> signatures = file.signatures();
    signatures.push_back(std::move(signature));
    TRY(file.replace(options.out, signatures));
    return Exit::done;
  }
  if (!options.append) {
    TRY(file.replace(options.out, {std::move(signature)}));
    return Exit::done;
  }
  if (file.kind() == SignedFile::Kind::catalog)
    return fail(Errc::refused, "--append: Windows looks at the first signature of a catalog only");
  const Bytes* const first = TRY(file.first_signature());
  std::vector<Bytes> nested = TRY(cms::nested_signatures(*first));
  nested.push_back(std::move(signature));
  Bytes edited = TRY(cms::with_nested_signatures(*first, nested));
  TRY(file.replace(options.out, with_first(file, std::move(edited))));
  return Exit::done;
}

}  // namespace

void add_signature(base::Command& app, Run& run) {
  base::Command command = app.sub("signature", "Lists, removes, extracts and attaches signatures of PE images, cabinets and catalogs.");
  command.needs_sub();
  using Action = Result<Exit> (*)(const SignatureOptions&);
  const auto add = [&](const char* name, const char* description, Action action) {
    base::Command sub = command.sub(name, description);
    const auto options = std::make_shared<SignatureOptions>();
    sub.option("FILE", options->file, "A PE image, cabinet or catalog").required();
    sub.when_chosen([options, action, &run] { run = [options, action] { return action(*options); }; });
    return std::pair(sub, options);
  };
  auto [list_command, list_options] = add("list", "Shows every signature, nested ones too", list);
  list_command.flag("--json", list_options->json, "One JSON object");
  auto [remove_command, remove_options] = add("remove", "Writes the file without its signatures", remove);
  remove_command.option("--nested", remove_options->nested, "Only the nested signature of that number, from 1");
  remove_command.option("-o,--out", remove_options->out, "The new file").required();
  auto [extract_command, extract_options] = add("extract", "Writes a signature to a file of its own (DER)", extract);
  extract_command.option("--nested", extract_options->nested, "The nested signature of that number, from 1");
  extract_command.option("-o,--out", extract_options->out, "The signature's file").required();
  auto [attach_command, attach_options] =
      add("attach", "Writes the file with an extracted signature in place of its own", attach);
  attach_command.option("SIGNATURE", attach_options->signature, "A signature as extract writes it (DER)").required();
  attach_command.flag("--append", attach_options->append, "Nest it in the signature that is there");
  attach_command.flag("--entry", attach_options->as_entry,
                      "Put it beside the signatures that are there, as a further entry of the table (EFI images)");
  attach_command.option("-o,--out", attach_options->out, "The new file").required();
}

}  // namespace host_tool
