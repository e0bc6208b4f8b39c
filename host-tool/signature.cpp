// coldseal signature list|remove|extract|attach: the signatures inside a PE image or a catalog, without any key.
#include <fmt/format.h>

#include <memory>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/timestamp.hpp"
#include "host-tool/command.hpp"
#include "host-tool/report.hpp"
#include "usb/files/file_source.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {
namespace {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;
namespace oids = der::oids;

struct Options {
  std::string file, out, signature;
  std::size_t nested = 0;   // 0: the primary signature
  bool append = false;
  bool json = false;
};

// Where the signatures of a file are: entries of an image's table. More than one only in EFI images.
struct SignedImage {
  usb::FileSource source;
  formats::PeImage image;
  std::vector<formats::WinCertificate> table;
};

Result<SignedImage> open_image(const std::string& path) {
  usb::FileSource source = TRY(usb::FileSource::open(path));
  formats::PeImage image = TRY(base::within(path, formats::PeImage::parse(source)));
  std::vector<formats::WinCertificate> table = TRY(base::within(path, image.certificates(source)));
  return SignedImage{std::move(source), std::move(image), std::move(table)};
}

Result<const formats::WinCertificate*> first_signature(const SignedImage& signed_image) {
  for (const formats::WinCertificate& entry : signed_image.table)
    if (entry.type == formats::WinCertificate::kPkcsSignedData) return &entry;
  return fail(Errc::not_found, "the image has no signature");
}

// The image anew with those signatures, none for an unsigned one; its digest must stay what it was.
Result<void> rewrite(const SignedImage& signed_image, const std::vector<Bytes>& signatures, const std::string& out) {
  const crypto::DigestAlgorithm wanted[] = {crypto::DigestAlgorithm::sha256};
  const formats::PeMeasurement before = TRY(signed_image.image.measure(signed_image.source, wanted));
  usb::FileWriter writer = TRY(usb::FileWriter::create(out));
  TRY(formats::write_with_table(signed_image.source, signed_image.image, before, signatures, writer));
  TRY(writer.commit());
  const usb::FileSource written = TRY(usb::FileSource::open(out));
  const formats::PeImage image = TRY(formats::PeImage::parse(written));
  const formats::PeMeasurement after = TRY(image.measure(written, wanted));
  base::require(after.digest(wanted[0]) == before.digest(wanted[0]), "editing signatures changed the image's digest");
  return {};
}

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

Result<Exit> list(const Options& options) {
  const SignedImage signed_image = TRY(open_image(options.file));
  Json all = Json::array();
  for (const formats::WinCertificate& entry : signed_image.table) {
    if (entry.type != formats::WinCertificate::kPkcsSignedData) {
      all.push_back({{"name", fmt::format("entry of type {:#06x}", entry.type)}, {"bytes", entry.der.size()}});
      continue;
    }
    all.push_back(about("primary", entry.der));
    const auto nested = cms::nested_signatures(entry.der);
    for (std::size_t i = 0; nested && i < nested->size(); ++i)
      all.push_back(about(fmt::format("nested {}", i + 1), (*nested)[i]));
  }
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

// Every entry but the first signature as it is, and that one as given (nothing: left out).
std::vector<Bytes> with_first(const SignedImage& signed_image, const formats::WinCertificate* first,
                              std::optional<Bytes> instead) {
  std::vector<Bytes> signatures;
  for (const formats::WinCertificate& entry : signed_image.table) {
    if (&entry == first) {
      if (instead) signatures.push_back(std::move(*instead));
    } else if (entry.type == formats::WinCertificate::kPkcsSignedData) {
      signatures.push_back(entry.der);
    }
  }
  return signatures;
}

Result<Exit> remove(const Options& options) {
  const SignedImage signed_image = TRY(open_image(options.file));
  const formats::WinCertificate* const first = TRY(first_signature(signed_image));
  if (options.nested == 0) {   // the nested ones go with it: they live inside
    TRY(rewrite(signed_image, {}, options.out));
    return Exit::done;
  }
  std::vector<Bytes> nested = TRY(cms::nested_signatures(first->der));
  if (options.nested > nested.size())
    return fail(Errc::refused, fmt::format("{} nested signatures, number {} wanted", nested.size(), options.nested));
  nested.erase(nested.begin() + static_cast<std::ptrdiff_t>(options.nested - 1));
  Bytes edited = TRY(cms::with_nested_signatures(first->der, nested));
  TRY(rewrite(signed_image, with_first(signed_image, first, std::move(edited)), options.out));
  return Exit::done;
}

Result<Exit> extract(const Options& options) {
  const SignedImage signed_image = TRY(open_image(options.file));
  const formats::WinCertificate* const first = TRY(first_signature(signed_image));
  Bytes signature = first->der;
  if (options.nested != 0) {
    const std::vector<Bytes> nested = TRY(cms::nested_signatures(first->der));
    if (options.nested > nested.size())
      return fail(Errc::refused, fmt::format("{} nested signatures, number {} wanted", nested.size(), options.nested));
    signature = nested[options.nested - 1];
  }
  TRY(usb::write_file(options.out, signature));
  return Exit::done;
}

// The digest is compared here, trust is not: that is verify's.
Result<void> expect_for(const Bytes& signature, const SignedImage& signed_image) {
  const cms::SignedData data = TRY(cms::SignedData::parse(signature));
  const formats::IndirectData content = TRY(formats::IndirectData::parse(data.content_der()));
  const crypto::DigestAlgorithm wanted[] = {content.digest.algorithm()};
  const formats::PeMeasurement measured = TRY(signed_image.image.measure(signed_image.source, wanted));
  if (measured.digest(wanted[0]) != content.digest)
    return fail(Errc::mismatch, fmt::format("signature is for digest {}, the file has {}", content.digest.hex(),
                                            measured.digest(wanted[0]).hex()));
  return {};
}

Result<Exit> attach(const Options& options) {
  const SignedImage signed_image = TRY(open_image(options.file));
  Bytes signature = TRY(usb::read_file(options.signature, base::limits::kSignatureBytes));
  TRY(base::within(options.signature, expect_for(signature, signed_image)));
  if (!options.append) {
    TRY(rewrite(signed_image, {std::move(signature)}, options.out));
    return Exit::done;
  }
  const formats::WinCertificate* const first = TRY(first_signature(signed_image));
  std::vector<Bytes> nested = TRY(cms::nested_signatures(first->der));
  nested.push_back(std::move(signature));
  Bytes edited = TRY(cms::with_nested_signatures(first->der, nested));
  TRY(rewrite(signed_image, with_first(signed_image, first, std::move(edited)), options.out));
  return Exit::done;
}

}  // namespace

void add_signature(base::Command& app, Run& run) {
  base::Command command = app.sub("signature", "Lists, removes, extracts and attaches signatures of PE images.");
  command.needs_sub();
  using Action = Result<Exit> (*)(const Options&);
  const auto add = [&](const char* name, const char* description, Action action) {
    base::Command sub = command.sub(name, description);
    const auto options = std::make_shared<Options>();
    sub.option("FILE", options->file, "A PE image").required();
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
  attach_command.option("-o,--out", attach_options->out, "The new file").required();
}

}  // namespace host_tool
