// Object identifiers, as the content octets DER stores (X.690 section 8.19), made from dotted text when compiling.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace der {

class Oid {
 public:
  consteval explicit Oid(std::string_view dotted) {
    std::uint64_t first = 0;
    std::size_t arc = 0;
    for (std::size_t at = 0; at < dotted.size(); ++arc) {
      std::uint64_t number = 0;
      for (; at < dotted.size() && dotted[at] != '.'; ++at) number = number * 10 + static_cast<std::uint64_t>(dotted[at] - '0');
      ++at;   // the dot
      if (arc == 0)
        first = number;
      else
        put(arc == 1 ? first * 40 + number : number);
    }
  }
  constexpr base::ByteView octets() const { return base::ByteView(octets_).first(size_); }
  friend constexpr bool operator==(const Oid&, const Oid&) = default;

 private:
  constexpr void put(std::uint64_t number) {
    int groups = 1;
    for (std::uint64_t rest = number >> 7; rest != 0; rest >>= 7) ++groups;
    for (int i = groups; i-- > 0;)
      octets_.at(size_++) = static_cast<std::uint8_t>(((number >> (7 * i)) & 0x7F) | (i > 0 ? 0x80 : 0));
  }
  std::array<std::uint8_t, 16> octets_{};
  std::size_t size_ = 0;
};

bool operator==(base::ByteView octets, const Oid& oid);

// Dotted text of an identifier's content octets, for messages.
std::string dotted(base::ByteView octets);

namespace oids {

// PKCS#7 / CMS (RFC 2315, RFC 5652) and PKCS#9.
inline constexpr Oid kData("1.2.840.113549.1.7.1");
inline constexpr Oid kSignedData("1.2.840.113549.1.7.2");
inline constexpr Oid kContentType("1.2.840.113549.1.9.3");
inline constexpr Oid kMessageDigest("1.2.840.113549.1.9.4");
inline constexpr Oid kSigningTime("1.2.840.113549.1.9.5");
inline constexpr Oid kCounterSignature("1.2.840.113549.1.9.6");
inline constexpr Oid kExtensionRequest("1.2.840.113549.1.9.14");

// Authenticode (Microsoft, "Windows Authenticode Portable Executable Signature Format").
inline constexpr Oid kSpcIndirectData("1.3.6.1.4.1.311.2.1.4");
inline constexpr Oid kSpcStatementType("1.3.6.1.4.1.311.2.1.11");
inline constexpr Oid kSpcOpusInfo("1.3.6.1.4.1.311.2.1.12");
inline constexpr Oid kSpcPeImageData("1.3.6.1.4.1.311.2.1.15");
inline constexpr Oid kSpcIndividualPurpose("1.3.6.1.4.1.311.2.1.21");
inline constexpr Oid kSpcCommercialPurpose("1.3.6.1.4.1.311.2.1.22");
inline constexpr Oid kSpcLink("1.3.6.1.4.1.311.2.1.25");      // SPC_CAB_DATA_OBJID; flat files in catalogs
inline constexpr Oid kSpcCabLink("1.3.6.1.4.1.311.2.1.28");   // CAB members of catalogs
inline constexpr Oid kSpcSipInfo("1.3.6.1.4.1.311.2.1.30");
inline constexpr Oid kSpcPageHashesV1("1.3.6.1.4.1.311.2.3.1");
inline constexpr Oid kSpcPageHashesV2("1.3.6.1.4.1.311.2.3.2");
inline constexpr Oid kSpcNestedSignature("1.3.6.1.4.1.311.2.4.1");
inline constexpr Oid kSpcEnhancedHash("1.3.6.1.4.1.311.2.5.1");
inline constexpr Oid kSpcRfc3161Timestamp("1.3.6.1.4.1.311.3.3.1");

// Catalogs.
inline constexpr Oid kCertificateTrustList("1.3.6.1.4.1.311.10.1");
inline constexpr Oid kCatalogList("1.3.6.1.4.1.311.12.1.1");
inline constexpr Oid kCatalogListMember("1.3.6.1.4.1.311.12.1.2");
inline constexpr Oid kCatalogListMember2("1.3.6.1.4.1.311.12.1.3");
inline constexpr Oid kCatalogNameValue("1.3.6.1.4.1.311.12.2.1");
inline constexpr Oid kCatalogMemberInfo("1.3.6.1.4.1.311.12.2.2");
inline constexpr Oid kCatalogMemberInfo2("1.3.6.1.4.1.311.12.2.3");

// Algorithms.
inline constexpr Oid kSha1("1.3.14.3.2.26");
inline constexpr Oid kSha256("2.16.840.1.101.3.4.2.1");
inline constexpr Oid kSha384("2.16.840.1.101.3.4.2.2");
inline constexpr Oid kSha512("2.16.840.1.101.3.4.2.3");
inline constexpr Oid kRsaEncryption("1.2.840.113549.1.1.1");
inline constexpr Oid kSha1WithRsa("1.2.840.113549.1.1.5");
inline constexpr Oid kSha256WithRsa("1.2.840.113549.1.1.11");
inline constexpr Oid kSha384WithRsa("1.2.840.113549.1.1.12");
inline constexpr Oid kSha512WithRsa("1.2.840.113549.1.1.13");
inline constexpr Oid kEcPublicKey("1.2.840.10045.2.1");
inline constexpr Oid kP256("1.2.840.10045.3.1.7");
inline constexpr Oid kP384("1.3.132.0.34");
inline constexpr Oid kEcdsaWithSha256("1.2.840.10045.4.3.2");
inline constexpr Oid kEcdsaWithSha384("1.2.840.10045.4.3.3");

// Names and extensions of certificates (RFC 5280).
inline constexpr Oid kCommonName("2.5.4.3");
inline constexpr Oid kCountry("2.5.4.6");
inline constexpr Oid kOrganization("2.5.4.10");
inline constexpr Oid kOrganizationalUnit("2.5.4.11");
inline constexpr Oid kKeyUsage("2.5.29.15");
inline constexpr Oid kExtendedKeyUsage("2.5.29.37");
inline constexpr Oid kEkuCodeSigning("1.3.6.1.5.5.7.3.3");
inline constexpr Oid kEkuTimeStamping("1.3.6.1.5.5.7.3.8");

// PKCS#5 (RFC 8018): pass phrases on submitter keys.
inline constexpr Oid kPbes2("1.2.840.113549.1.5.13");
inline constexpr Oid kPbkdf2("1.2.840.113549.1.5.12");
inline constexpr Oid kHmacSha256("1.2.840.113549.2.9");
inline constexpr Oid kAes256Cbc("2.16.840.1.101.3.4.1.42");

}  // namespace oids
}  // namespace der
