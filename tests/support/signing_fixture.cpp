#include "tests/support/signing_fixture.hpp"

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include <array>
#include <filesystem>

#include "crypto/der/writer.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/pe_image.hpp"
#include "tests/support/results.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

constexpr std::string_view kRootName = "C=DE,O=Coldseal Example,CN=Test Root";

int no_random(void*, unsigned char* out,
              std::size_t size) {  // deterministic certificates; these keys are public anyway
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<unsigned char>(i * 7 + 1);
  return 0;
}

class Pk {
 public:
  explicit Pk(std::string_view pem) {
    mbedtls_pk_init(&context_);
    const std::string text(pem);
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.c_str());
#if MBEDTLS_VERSION_MAJOR < 3
    const int error = mbedtls_pk_parse_key(&context_, bytes, text.size() + 1, nullptr, 0);
#else
    const int error = mbedtls_pk_parse_key(&context_, bytes, text.size() + 1, nullptr, 0, no_random, nullptr);
#endif
    base::require(error == 0, "test key does not parse");
  }
  Pk(const Pk&) = delete;
  Pk& operator=(const Pk&) = delete;
  ~Pk() {
    mbedtls_pk_free(&context_);
  }
  mbedtls_pk_context* get() {
    return &context_;
  }

 private:
  mbedtls_pk_context context_{};
};

SoftwareKey parsed_key(std::string_view pem) {
  auto key = SoftwareKey::from_pem(pem);
  base::require(key.has_value(), "test key does not parse");
  return std::move(*key);
}

CertificateWish root_wish() {
  CertificateWish wish;
  wish.subject = kRootName;
  wish.is_ca = true;
  wish.code_signing = false;
  wish.serial = 1;
  return wish;
}

}  // namespace

crypto::Certificate issue(const CertificateWish& wish, std::string_view subject_key_pem, std::string_view issuer_name,
                          std::string_view issuer_key_pem) {
  Pk subject_key(subject_key_pem);
  Pk issuer_key(issuer_key_pem);
  mbedtls_x509write_cert certificate;
  mbedtls_x509write_crt_init(&certificate);
  mbedtls_mpi serial;
  mbedtls_mpi_init(&serial);
  mbedtls_x509write_crt_set_subject_key(&certificate, subject_key.get());
  mbedtls_x509write_crt_set_issuer_key(&certificate, issuer_key.get());
  mbedtls_x509write_crt_set_md_alg(&certificate, wish.sha1 ? MBEDTLS_MD_SHA1 : MBEDTLS_MD_SHA256);
  // ExtKeyUsageSyntax; this writer of mbedTLS 2.28 has no function for it.
  std::vector<base::Bytes> uses;
  if (wish.time_stamping)
    uses.push_back(der::oid(der::oids::kEkuTimeStamping));
  else if (wish.code_signing)
    uses.push_back(der::oid(der::oids::kEkuCodeSigning));
  for (const der::Oid& use : wish.more_uses) uses.push_back(der::oid(use));
  const base::Bytes extended_usage = der::sequence(uses);
  constexpr char kExtendedKeyUsage[] = "\x55\x1D\x25";
  const unsigned usage = wish.is_ca               ? MBEDTLS_X509_KU_KEY_CERT_SIGN
                         : wish.digital_signature ? MBEDTLS_X509_KU_DIGITAL_SIGNATURE
                                                  : MBEDTLS_X509_KU_KEY_ENCIPHERMENT;
  bool good = mbedtls_mpi_lset(&serial, static_cast<mbedtls_mpi_sint>(wish.serial)) == 0 &&
              mbedtls_x509write_crt_set_serial(&certificate, &serial) == 0 &&
              mbedtls_x509write_crt_set_subject_name(&certificate, wish.subject.c_str()) == 0 &&
              mbedtls_x509write_crt_set_issuer_name(&certificate, std::string(issuer_name).c_str()) == 0 &&
              mbedtls_x509write_crt_set_validity(&certificate, wish.not_before.c_str(), wish.not_after.c_str()) == 0 &&
              mbedtls_x509write_crt_set_basic_constraints(&certificate, wish.is_ca ? 1 : 0, -1) == 0 &&
              mbedtls_x509write_crt_set_key_usage(&certificate, usage) == 0;
  if (good && !uses.empty())
    good = mbedtls_x509write_crt_set_extension(&certificate, kExtendedKeyUsage, 3, wish.time_stamping ? 1 : 0, extended_usage.data(),
                                               extended_usage.size()) == 0;
  std::array<unsigned char, 4096> buffer{};
  const int size =
      good ? mbedtls_x509write_crt_der(&certificate, buffer.data(), buffer.size(), no_random, nullptr) : -1;
  mbedtls_mpi_free(&serial);
  mbedtls_x509write_crt_free(&certificate);
  base::require(size > 0, "mbedTLS wrote no certificate");
  return must(crypto::Certificate::parse(base::ByteView(buffer).last(static_cast<std::size_t>(size))));
}

std::string key_pem(Vendor::Kind kind) {
  const std::filesystem::path folder = std::filesystem::path(COLDSEAL_TEST_DATA_DIR) / "keys";
  return read_text(folder / (kind == Vendor::Kind::p256 ? "p256.key.pem" : "rsa3072.key.pem"));
}

std::string root_key_pem() {
  return read_text(std::filesystem::path(COLDSEAL_TEST_DATA_DIR) / "keys" / "root.key.pem");
}

Vendor::Vendor(Kind kind, CertificateWish leaf)
    : root_(issue(root_wish(), root_key_pem(), kRootName, root_key_pem())),
      leaf_(issue(leaf, key_pem(kind), kRootName, root_key_pem())),
      key_(parsed_key(key_pem(kind))) {}

crypto::SigningIdentity Vendor::identity() const {
  return must(crypto::SigningIdentity::assemble({leaf_, root_}, must(leaf_.public_key())));
}

base::Bytes Vendor::sign(const cms::Content& content, const cms::SignedAttributes& attributes) {
  const auto data = must(cms::UnsignedData::prepare(content, attributes, identity()));
  return must(data.with_signature(must(key_.sign(data.to_be_signed()))));
}

base::Bytes Vendor::sign_pe(base::ByteView image) {
  const base::MemorySource file(image);
  const auto parsed = must(formats::PeImage::parse(file));
  const crypto::DigestAlgorithm wanted[] = {crypto::DigestAlgorithm::sha256};
  const auto measurement = must(parsed.measure(file, wanted));
  base::MemorySink out;
  const auto written =
      formats::write_signed(file, parsed, measurement, sign(formats::pe_content(measurement.digest(wanted[0]))), out);
  base::require(written.has_value(), "the test image was not signed");
  return out.bytes();
}

base::Time at(std::string_view rfc3339) {
  return must(base::time_from_rfc3339(rfc3339));
}

}  // namespace tests
