// test-signer: signs PE images, cabinets and catalogs with a key file, through the same code the appliance signs with. For tests
// and benchmarks; it is not installed. Exit status: 0 signed, 1 refused, 2 wrong command or unreadable input.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/certificate.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/cab_file.hpp"
#include "crypto/formats/pe_image.hpp"
#include "tests/support/osslsigncode_form.hpp"
#include "tests/support/output_file.hpp"
#include "tests/support/software_key.hpp"
#include "usb/files/file_source.hpp"

namespace {

using base::Errc;
using base::fail;
using base::Result;

struct Options {
  std::string key, certificate, chain, additional, out, out_dir;
  std::string digest = "sha256";
  std::string form = "signtool";
  std::string signing_time;
  std::vector<std::string> in;
  cms::SignedAttributes attributes;
  bool replace = false, append = false, page_hashes = false, dual = false;
};

struct Setup {
  tests::SoftwareKey key;
  crypto::SigningIdentity identity;
  crypto::DigestAlgorithm algorithm;
  std::optional<base::Time> signing_time;   // form osslsigncode
};

Result<std::string> text_of(const std::string& file) {
  const usb::FileSource source = TRY(usb::FileSource::open(file));
  const base::Bytes bytes = TRY(base::within(file, base::read_all(source, base::limits::kPemBytes)));
  return std::string(base::as_text(bytes));
}

// A certificate file is PEM, or one certificate in DER.
Result<std::vector<crypto::Certificate>> certificates_of(const std::string& file) {
  const std::string text = TRY(text_of(file));
  if (text.starts_with("\x30")) {
    const crypto::Certificate certificate = TRY(base::within(file, crypto::Certificate::parse(base::as_bytes(text))));
    return std::vector<crypto::Certificate>{certificate};
  }
  return base::within(file, crypto::certificates_from_pem(text));
}

Result<crypto::DigestAlgorithm> algorithm_named(const std::string& name) {
  for (const auto algorithm :
       {crypto::DigestAlgorithm::sha256, crypto::DigestAlgorithm::sha384, crypto::DigestAlgorithm::sha512})
    if (name == crypto::digest_name(algorithm)) return algorithm;
  return fail(Errc::usage, "--digest " + name + ": sha256, sha384 or sha512 wanted");
}

Result<Setup> set_up(const Options& options) {
  if (options.form != "signtool" && options.form != "osslsigncode")
    return fail(Errc::usage, "--form " + options.form + ": signtool or osslsigncode wanted");
  std::optional<base::Time> signing_time;
  if (options.form == "signtool" && !options.signing_time.empty())
    return fail(Errc::usage, "--signing-time: form signtool has no time");
  if (options.form == "osslsigncode") {
    if (options.signing_time.empty()) return fail(Errc::usage, "--form osslsigncode: --signing-time is wanted");
    if (!options.attributes.description.empty() || !options.attributes.url.empty())
      return fail(Errc::usage, "--form osslsigncode: without description and URL only");
    signing_time = TRY(base::within("--signing-time", base::time_from_argument(options.signing_time)));
  }
  if (options.dual && (options.append || options.form != "signtool"))
    return fail(Errc::usage, "--dual: neither with --append nor with another form");
  if (options.append && options.replace) return fail(Errc::usage, "--append and --replace exclude each other");
  if (options.in.size() > 1 && options.out_dir.empty()) return fail(Errc::usage, "several --in files need --out-dir");
  if (options.out.empty() == options.out_dir.empty()) return fail(Errc::usage, "either --out or --out-dir is wanted");
  const crypto::DigestAlgorithm algorithm = TRY(algorithm_named(options.digest));
  std::vector<crypto::Certificate> chain = TRY(certificates_of(options.certificate));
  for (const std::string& file : {options.chain, options.additional}) {
    if (file.empty()) continue;
    const std::vector<crypto::Certificate> more = TRY(certificates_of(file));
    chain.insert(chain.end(), more.begin(), more.end());
  }
  const std::string pem = TRY(text_of(options.key));
  tests::SoftwareKey key = TRY(base::within(options.key, tests::SoftwareKey::from_pem(pem)));
  const crypto::PublicKey public_key = TRY(crypto::PublicKey::parse(key.public_key_der()));
  crypto::SigningIdentity identity = TRY(crypto::SigningIdentity::assemble(chain, public_key));
  return Setup{std::move(key), std::move(identity), algorithm, signing_time};
}

Result<base::Bytes> signature_over(const cms::Content& content, crypto::DigestAlgorithm algorithm, const Options& options,
                                   Setup& setup) {
  if (setup.signing_time)
    return tests::sign_like_osslsigncode(content, setup.identity, algorithm, *setup.signing_time, setup.key);
  const cms::UnsignedData data =
      TRY(cms::UnsignedData::prepare(content, options.attributes, setup.identity, algorithm,
                                     options.dual ? cms::Sha1::for_old_windows : cms::Sha1::refused));
  const base::Bytes signature = TRY(setup.key.sign(data.to_be_signed()));
  return data.with_signature(signature);
}

cms::Content content_for(formats::PeMeasurement& measurement, crypto::DigestAlgorithm algorithm, const Options& options,
                         const Setup& setup) {
  const crypto::Digest& digest = measurement.digest(algorithm);
  std::optional<formats::PageHashes> pages;
  if (options.page_hashes && algorithm != crypto::DigestAlgorithm::sha1)
    pages = formats::PageHashes{formats::PageHashVersion::v2, measurement.take_page_hashes(formats::PageHashVersion::v2)};
  if (setup.signing_time) return tests::pe_content_like_osslsigncode(digest, pages);
  return pages ? formats::pe_content(digest, std::move(*pages)) : formats::pe_content(digest);
}

// For Windows before 8: SHA-1, which that knows, and nested in it the signature that newer ones look for.
Result<base::Bytes> dual(base::Bytes sha1, base::Bytes nested) { return cms::with_nested_signatures(sha1, {std::move(nested)}); }

// The first signature of a signed image with the new one nested in it.
Result<base::Bytes> appended(const base::ByteSource& file, const formats::PeImage& image, base::Bytes signed_data) {
  const std::vector<formats::WinCertificate> table = TRY(image.certificates(file));
  if (table.size() != 1 || table.front().type != formats::WinCertificate::kPkcsSignedData)
    return fail(Errc::refused, "certificate table with one signature wanted, to nest another in it");
  std::vector<base::Bytes> nested = TRY(cms::nested_signatures(table.front().der));
  nested.push_back(std::move(signed_data));
  return cms::with_nested_signatures(table.front().der, nested);
}

// Reads the image once: digest, page hashes, checksum and the copy come from the same pass.
Result<void> sign_pe(const base::ByteSource& file, const std::string& out, const Options& options, Setup& setup) {
  const formats::PeImage image = TRY(formats::PeImage::parse(file));
  if (image.is_signed() && !options.replace && !options.append)
    return fail(Errc::refused, "is signed already; --replace puts the new signature in place of the old one, --append "
                               "nests it");
  if (!image.is_signed() && options.append) return fail(Errc::refused, "is not signed: nothing to append to");
  tests::OutputFile output = TRY(tests::OutputFile::create(out));
  std::vector<crypto::DigestAlgorithm> algorithms = {setup.algorithm};
  if (options.dual) algorithms.push_back(crypto::DigestAlgorithm::sha1);
  formats::PeMeasuring wanted;
  wanted.algorithms = algorithms;
  wanted.page_hashes_v2 = options.page_hashes;
  wanted.copy_to = &output;
  formats::PeMeasurement measurement = TRY(image.measure(file, wanted));
  base::Bytes signed_data =
      TRY(signature_over(content_for(measurement, setup.algorithm, options, setup), setup.algorithm, options, setup));
  if (options.dual) {
    constexpr auto kSha1 = crypto::DigestAlgorithm::sha1;
    base::Bytes sha1 = TRY(signature_over(content_for(measurement, kSha1, options, setup), kSha1, options, setup));
    signed_data = TRY(dual(std::move(sha1), std::move(signed_data)));
  }
  if (options.append) signed_data = TRY(appended(file, image, std::move(signed_data)));
  TRY(formats::finish_signed(image, measurement, signed_data, output));
  return output.commit();
}

Result<void> sign_cab(const base::ByteSource& file, const std::string& out, const Options& options, Setup& setup) {
  if (options.page_hashes) return fail(Errc::usage, "--page-hashes: cabinets have none");
  const formats::CabFile cab = TRY(formats::CabFile::parse(file));
  if (cab.is_signed() && !options.replace && !options.append)
    return fail(Errc::refused, "is signed already; --replace puts the new signature in place of the old one, --append "
                               "nests it");
  if (!cab.is_signed() && options.append) return fail(Errc::refused, "is not signed: nothing to append to");
  const crypto::Digest digest = TRY(cab.digest(file, setup.algorithm));
  base::Bytes signed_data = TRY(signature_over(
      setup.signing_time ? tests::cab_content_like_osslsigncode(digest) : formats::cab_content(digest), setup.algorithm,
      options, setup));
  if (options.dual) {
    constexpr auto kSha1 = crypto::DigestAlgorithm::sha1;
    const crypto::Digest sha1_digest = TRY(cab.digest(file, kSha1));
    base::Bytes sha1 = TRY(signature_over(formats::cab_content(sha1_digest), kSha1, options, setup));
    signed_data = TRY(dual(std::move(sha1), std::move(signed_data)));
  }
  if (options.append) {
    const base::Bytes area = TRY(cab.signature(file));
    const der::Element primary = TRY(der::Reader(area).expect_element(der::kSequence));
    std::vector<base::Bytes> nested = TRY(cms::nested_signatures(primary.whole));
    nested.push_back(std::move(signed_data));
    signed_data = TRY(cms::with_nested_signatures(primary.whole, nested));
  }
  tests::OutputFile output = TRY(tests::OutputFile::create(out));
  TRY(cab.write_signed(file, signed_data, output));
  return output.commit();
}

Result<void> sign_catalog(const base::ByteSource& file, const std::string& out, const Options& options, Setup& setup) {
  if (options.dual || options.append) return fail(Errc::usage, "--dual and --append: catalogs have one signature");
  if (options.page_hashes) return fail(Errc::usage, "--page-hashes: those of a catalog's members are in it before it is signed");
  const base::Bytes der = TRY(base::read_all(file, base::limits::kCatalogBytes));
  const cms::SignedData catalog = TRY(base::within("neither a PE image, a cabinet nor a catalog", cms::SignedData::parse(der)));
  if (!(catalog.content_type() == der::oids::kCertificateTrustList))
    return fail(Errc::malformed,
                "neither a PE image, a cabinet nor a catalog: its content is " + der::dotted(catalog.content_type()));
  if (!catalog.signers().empty() && !options.replace)
    return fail(Errc::refused, "is signed already; --replace puts the new signature in place of the old one");
  const cms::Content content{der::oids::kCertificateTrustList, base::to_bytes(catalog.content_der())};
  const base::Bytes signed_data = TRY(signature_over(content, setup.algorithm, options, setup));
  tests::OutputFile output = TRY(tests::OutputFile::create(out));
  TRY(output.write(signed_data));
  return output.commit();
}

Result<void> sign_file(const std::string& in, const std::string& out, const Options& options, Setup& setup) {
  const usb::FileSource file = TRY(usb::FileSource::open(in));
  const bool is_pe = TRY(base::within(in, formats::looks_like_pe(file)));
  const bool is_cab = TRY(base::within(in, formats::looks_like_cab(file)));
  if (is_cab) return base::within(in, sign_cab(file, out, options, setup));
  return base::within(in, is_pe ? sign_pe(file, out, options, setup) : sign_catalog(file, out, options, setup));
}

// Wrong commands and files that are not there or cannot be read are 2; everything else is a refusal.
int exit_status(Errc code) {
  return code == Errc::usage || code == Errc::not_found || code == Errc::io || code == Errc::no_space ? 2 : 1;
}

int complain(const base::Error& error, int status) {
  fmt::print(stderr, "test-signer: {}\n", error.text());
  return status;
}

// One output per input, no two the same.
Result<std::vector<std::string>> output_names(const Options& options) {
  if (options.out_dir.empty()) return std::vector<std::string>{options.out};
  std::error_code error;
  std::filesystem::create_directories(options.out_dir, error);
  if (error) return fail(Errc::io, options.out_dir + ": " + error.message());
  std::vector<std::string> outputs;
  for (const std::string& in : options.in) {
    const auto out = std::filesystem::path(options.out_dir) / std::filesystem::path(in).filename();
    if (std::ranges::find(outputs, out.string()) != outputs.end())
      return fail(Errc::usage, "two --in files would both become " + out.string());
    outputs.push_back(out.string());
  }
  return outputs;
}

int run(const Options& options) {
  Result<Setup> setup = set_up(options);
  if (!setup)
    return complain(setup.error(),
                    setup.error().code() == Errc::refused || setup.error().code() == Errc::mismatch ? 1 : 2);
  const auto outputs = output_names(options);
  if (!outputs) return complain(outputs.error(), 2);
  // Each thread has a key of its own: mbedTLS keys are not to be shared.
  std::vector<int> statuses(options.in.size(), 0);
  std::atomic<std::size_t> next = 0;
  const auto work = [&](Setup& own) {
    for (std::size_t i = next++; i < options.in.size(); i = next++)
      if (const auto done = sign_file(options.in[i], (*outputs)[i], options, own); !done)
        statuses[i] = complain(done.error(), exit_status(done.error().code()));
  };
  if (options.in.size() < 8 || std::thread::hardware_concurrency() < 2) {
    work(*setup);
  } else {
    Result<Setup> second = set_up(options);
    if (!second) return complain(second.error(), 2);
    std::thread beside([&] { work(*second); });
    work(*setup);
    beside.join();
  }
  return *std::ranges::max_element(statuses);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  base::CommandLine app("Signs PE images, cabinets and catalogs with a key file. For tests only.", "test-signer");
  app.option("--key", options.key, "private key, PEM without pass phrase").required();
  app.option("--cert", options.certificate, "its certificate, PEM or DER; a chain may follow in the same file")
      .required();
  app.option("--chain", options.chain, "certificates of the issuers, PEM");
  app.option("--ac", options.additional, "a cross-certificate, PEM");
  app.option("--digest", options.digest, "sha256 (default), sha384 or sha512");
  app.option("--description", options.attributes.description, "what is signed, for people");
  app.option("--url", options.attributes.url, "where to read more");
  app.option("--in", options.in, "file to sign").required();
  app.option("--out", options.out, "signed file");
  app.option("--out-dir", options.out_dir, "folder for the signed files, under their own names");
  app.option("--form", options.form, "whose form of signature: signtool (default) or osslsigncode");
  app.option("--signing-time", options.signing_time, "for form osslsigncode: its signing time");
  app.flag("--replace", options.replace, "replace an existing signature");
  app.flag("--append", options.append, "add a nested signature");
  app.flag("--dual", options.dual, "sign with SHA-1 for Windows before 8, and nest the other signature in that one");
  app.flag("--page-hashes", options.page_hashes, "sign digests of every page");
  if (const std::optional<int> status = app.parse(argc, argv)) return *status;
  return run(options);
}
