// Catalogs that are wrong in ways that have fooled other readers, numbered as in the list of cases that this project keeps: 28 to 36.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <span>

#include "crypto/der/reader.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/package/verification.hpp"
#include "tests/support/results.hpp"
#include "tests/support/signing_fixture.hpp"

namespace formats {
namespace {

using base::Errc;
using crypto::DigestAlgorithm;
using tests::must;
namespace oids = der::oids;

// The element at that place (numbers of children from the outside in) replaced; lengths around it are written anew.
Bytes edited(ByteView whole, std::span<const std::size_t> path, const std::function<Bytes(ByteView)>& edit) {
  if (path.empty()) return edit(whole);
  der::Reader outer(whole);
  const der::Element element = must(outer.expect_element());
  der::Reader in(element.value);
  Bytes content;
  for (std::size_t i = 0; !in.at_end(); ++i) {
    const ByteView child = must(in.expect_element()).whole;
    base::append(content, i == path[0] ? edited(child, path.subspan(1), edit) : base::to_bytes(child));
  }
  return der::element(element.tag, content);
}
Bytes edited(ByteView whole, std::initializer_list<std::size_t> path, const std::function<Bytes(ByteView)>& edit) {
  return edited(whole, std::span<const std::size_t>(path.begin(), path.size()), edit);
}

std::vector<Bytes> children(ByteView whole) {
  der::Reader outer(whole);
  der::Reader in(must(outer.expect_element()).value);
  std::vector<Bytes> all;
  while (!in.at_end()) all.push_back(base::to_bytes(must(in.expect_element()).whole));
  return all;
}

Bytes joined(const std::vector<Bytes>& parts) {
  Bytes all;
  for (const Bytes& part : parts) base::append(all, part);
  return all;
}

MemberDigests flat(std::string_view content) {
  const ByteView bytes = base::as_bytes(content);
  return {MemberKind::flat, crypto::digest_of(DigestAlgorithm::sha1, bytes), crypto::sha256(bytes), std::nullopt};
}

CatalogContent content(std::size_t files = 1) {
  CatalogContent all;
  all.this_update = tests::at("2026-11-23T16:20:00Z");
  all.os = "_v100_X64";
  all.hardware_ids = {"root\\a"};
  for (std::size_t i = 0; i < files; ++i) all.members.push_back({"a" + std::to_string(i) + ".txt", "2:10.0", flat("text " + std::to_string(i))});
  return all;
}
Bytes ctl(std::size_t files = 1) { return must(encode_ctl(content(files))); }

void expect_refused(ByteView list, Errc code) {
  const auto catalog = Catalog::parse_ctl(list);
  ASSERT_FALSE(catalog.has_value());
  EXPECT_EQ(catalog.error().code(), code) << catalog.error().text();
  EXPECT_FALSE(catalog.error().text().empty());
}

// Places in a signed catalog and in a list.
constexpr std::initializer_list<std::size_t> kSignedData = {1, 0};
constexpr std::initializer_list<std::size_t> kCertificates = {1, 0, 3};
constexpr std::initializer_list<std::size_t> kSigners = {1, 0, 4};
constexpr std::initializer_list<std::size_t> kMembers = {4};
constexpr std::initializer_list<std::size_t> kFirstTag = {4, 0, 0};
constexpr std::initializer_list<std::size_t> kFirstAttributes = {4, 0, 1};

class CatalogCase : public testing::Test {
 protected:
  // A leaf below an authority below the root: two certificates in the signature.
  Bytes signed_catalog(std::size_t files = 1) {
    const std::string authority_key = tests::key_pem(tests::Vendor::Kind::rsa3072);
    const auto authority = tests::issue({.subject = "CN=Authority", .is_ca = true, .code_signing = false, .serial = 3}, authority_key,
                                        "C=DE,O=Coldseal Example,CN=Test Root", tests::root_key_pem());
    const auto leaf = tests::issue({}, tests::key_pem(tests::Vendor::Kind::p256), "CN=Authority", authority_key);
    const auto identity = must(crypto::SigningIdentity::assemble({leaf, authority}, must(leaf.public_key())));
    const auto data = must(cms::UnsignedData::prepare({oids::kCertificateTrustList, ctl(files)}, {}, identity));
    return must(data.with_signature(must(vendor_.key().sign(data.to_be_signed()))));
  }
  package::Verdict verdict(ByteView catalog) const { return package::verify_catalog_signature(catalog, {vendor_.root()}, tests::at("2026-11-23T12:00:00Z")); }
  static bool has(const package::Verdict& verdict, std::string_view id) {
    return std::any_of(verdict.findings.begin(), verdict.findings.end(), [&](const auto& finding) { return finding.id == id && finding.severity == package::Severity::error; });
  }
  tests::Vendor vendor_;
};

TEST_F(CatalogCase, N28CertificatesOutOfOrderOrTwiceOrAmongOthers) {
  const Bytes good = signed_catalog();
  EXPECT_TRUE(verdict(good).valid());
  const auto with_certificates = [&](const std::function<std::vector<Bytes>(std::vector<Bytes>)>& change) {
    return edited(good, kCertificates, [&](ByteView set) { return der::element(der::context(0), joined(change(children(set)))); });
  };
  EXPECT_TRUE(has(verdict(with_certificates([](std::vector<Bytes> all) { return std::vector<Bytes>{all.at(1), all.at(0)}; })), "signature.certificate-order"));
  EXPECT_TRUE(has(verdict(with_certificates([](std::vector<Bytes> all) { return std::vector<Bytes>{all.at(0), all.at(0), all.at(1)}; })), "signature.certificate-order"));
  const Bytes cross = base::to_bytes(tests::issue({.subject = "C=DE,O=Coldseal Example,CN=Test Root", .is_ca = true, .code_signing = false, .serial = 9}, tests::root_key_pem(),
                                                  "CN=Other Root", tests::key_pem(tests::Vendor::Kind::rsa3072)).der());
  const Bytes more = with_certificates([&](std::vector<Bytes> all) {
    all.push_back(cross);
    std::sort(all.begin(), all.end());
    return all;
  });
  EXPECT_TRUE(verdict(more).valid());
}

TEST_F(CatalogCase, N29LengthsThatAreNotMinimalOrIndefinite) {
  const Bytes good = unsigned_catalog(ctl());
  Bytes indefinite = good;   // 30 82 xx xx -> 30 80 ... 00 00
  indefinite.erase(indefinite.begin() + 1, indefinite.begin() + 4);
  indefinite.insert(indefinite.begin() + 1, 0x80);
  indefinite.insert(indefinite.end(), {0, 0});
  EXPECT_FALSE(Catalog::parse(indefinite).has_value());
  Bytes longer = good;   // 30 82 xx xx -> 30 83 00 xx xx
  longer[1] = 0x83;
  longer.insert(longer.begin() + 2, 0);
  EXPECT_FALSE(Catalog::parse(longer).has_value());
  // Inside the list too: its bytes are what is signed, so that another encoding of the same list is another list.
  const Bytes inner = edited(ctl(), {1}, [](ByteView identifier) {
    Bytes padded = base::to_bytes(identifier);
    padded.insert(padded.begin() + 1, 0x81);   // 04 10 -> 04 81 10
    return padded;
  });
  expect_refused(inner, Errc::malformed);
}

TEST_F(CatalogCase, N30ATagThatIsNotTheDigest) {
  for (const unsigned version : {1U, 2U}) {
    CatalogContent all = content();
    all.version = version;
    const Bytes list = must(encode_ctl(all));
    const std::size_t member = version == 1 ? 0 : (flat("text 0").sha1.bytes()[0] < flat("text 0").sha256.bytes()[0] ? 1 : 0);   // the one with a digest
    const std::size_t path[] = {4, member, 0};
    expect_refused(edited(list, path, [](ByteView tag) {
                     Bytes other = base::to_bytes(tag);
                     other[2] = other[2] == '0' ? '1' : '0';
                     return other;
                   }), Errc::mismatch);
  }
}

TEST_F(CatalogCase, N31DigestsOfAnotherLengthThanTheirAlgorithms) {
  const Bytes sha256 = base::to_bytes(flat("text 0").sha256.bytes());
  const Bytes list = ctl();
  for (const std::size_t size : {0U, 19U, 65U, 200U}) {
    SCOPED_TRACE(size);
    std::size_t edits = 0;
    const Bytes changed = edited(list, kMembers, [&](ByteView members) {
      std::vector<Bytes> all = children(members);
      for (Bytes& member : all) {   // the member whose tag is the SHA-256 digest: its tag stays, the digest inside changes
        if (children(member)[0] != der::octet_string(sha256)) continue;
        member = edited(member, {1}, [&](ByteView set) {
          std::vector<Bytes> attributes = children(set);
          for (Bytes& attribute : attributes) {
            if (children(attribute)[0] != der::oid(oids::kSpcIndirectData)) continue;
            attribute = edited(attribute, {1, 0, 1, 1}, [&](ByteView) { return der::octet_string(Bytes(size, 0x5A)); });
            ++edits;
          }
          return der::set_of(attributes);
        });
      }
      return der::sequence(all);
    });
    ASSERT_EQ(edits, 1U);
    expect_refused(changed, Errc::malformed);
  }
}

TEST_F(CatalogCase, N32TheSameTagTwiceAndAMissingSha1Twin) {
  CatalogContent twice = content();
  twice.members.push_back(twice.members[0]);
  twice.members[1].file = "another-name.txt";
  const Catalog both = must(Catalog::parse_ctl(must(encode_ctl(twice))));
  EXPECT_EQ(both.entries().size(), 4U);   // the same bytes under two names
  const Bytes alone = edited(ctl(), kMembers, [](ByteView members) {
    std::vector<Bytes> all = children(members);
    std::erase_if(all, [](const Bytes& member) { return children(member)[0].size() == 2 + 20; });
    return der::sequence(all);
  });
  const Catalog without = must(Catalog::parse_ctl(alone));
  EXPECT_EQ(without.entries().size(), 1U);
  EXPECT_NE(without.covering(flat("text 0")), nullptr);   // signing one as delivered is refused: DeliveredCatalogToSign
  const Bytes twin_alone = edited(ctl(), kMembers, [](ByteView members) {
    std::vector<Bytes> all = children(members);
    std::erase_if(all, [](const Bytes& member) { return children(member)[0].size() != 2 + 20; });
    return der::sequence(all);
  });
  EXPECT_EQ(must(Catalog::parse_ctl(twin_alone)).covering(flat("text 0")), nullptr);
}

TEST_F(CatalogCase, N33MixedVersionsAndUnknownMembers) {
  CatalogContent old = content();
  old.version = 1;
  const Bytes v1 = must(encode_ctl(old));
  // A version 1 list that says it is version 2: its tags are text, which no digest is found by.
  const Bytes mixed = edited(v1, {3, 0}, [](ByteView) { return der::oid(oids::kCatalogListMember2); });
  EXPECT_EQ(must(Catalog::parse_ctl(mixed)).covering(flat("text 0")), nullptr);
  expect_refused(edited(v1, {3, 0}, [](ByteView) { return der::oid(oids::kCatalogList); }), Errc::unsupported);
  const Bytes unknown = edited(ctl(), kFirstAttributes, [](ByteView set) {
    std::vector<Bytes> attributes = children(set);
    for (Bytes& attribute : attributes)
      if (children(attribute)[0] == der::oid(oids::kCatalogMemberInfo2)) attribute = edited(attribute, {0}, [](ByteView) { return der::oid(oids::kCatalogMemberInfo); });
    return der::set_of(attributes);
  });
  expect_refused(unknown, Errc::malformed);   // the information of one version under the name of the other
}

TEST_F(CatalogCase, N34TwoSignersNoSignersVersion3AndWrappedContent) {
  const Bytes good = signed_catalog();
  EXPECT_TRUE(has(verdict(edited(good, kSigners, [](ByteView set) {
                    std::vector<Bytes> signers = children(set);
                    signers.push_back(signers.at(0));
                    return der::element(der::kSet, joined(signers));
                  })), "signature.malformed"));
  EXPECT_TRUE(has(verdict(edited(good, kSigners, [](ByteView) { return der::element(der::kSet, ByteView()); })), "catalog.not-signed"));
  EXPECT_FALSE(verdict(unsigned_catalog(ctl())).valid());
  const Bytes version3 = edited(good, {1, 0, 0}, [](ByteView) { return der::integer(3); });
  const auto refused = Catalog::parse(version3);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), Errc::unsupported);
  const Bytes wrapped = edited(good, {1, 0, 2, 1, 0}, [](ByteView list) { return der::octet_string(list); });
  EXPECT_FALSE(Catalog::parse(wrapped).has_value());
  EXPECT_EQ(children(edited(good, kSignedData, [](ByteView data) { return base::to_bytes(data); })).size(), 2U);   // the edit itself changes nothing
  EXPECT_EQ(edited(good, kSignedData, [](ByteView data) { return base::to_bytes(data); }), good);
}

TEST_F(CatalogCase, N35MoreThan64KibAnd5000Members) {
  const Bytes good = signed_catalog(5000);
  EXPECT_GT(good.size(), 65536U);
  EXPECT_TRUE(verdict(good).valid());
  const Catalog catalog = must(Catalog::parse(good));
  EXPECT_EQ(catalog.entries().size(), 10000U);
  for (const std::size_t i : {0U, 2500U, 4999U}) EXPECT_NE(catalog.covering(flat("text " + std::to_string(i))), nullptr);
  EXPECT_EQ(catalog.covering(flat("text 5000")), nullptr);
}

TEST_F(CatalogCase, N36NamesWithoutTheirNulOrOfOddLength) {
  const auto with_value = [](const Bytes& octets) {   // of the first attribute of the catalog: OS
    return edited(ctl(), {5, 0, 0, 1}, [&](ByteView wrapped) {
      der::Reader in(wrapped);
      const ByteView inner = must(in.expect(der::kOctetString));
      return der::octet_string(edited(inner, {2}, [&](ByteView) { return der::octet_string(octets); }));
    });
  };
  const Catalog without = must(Catalog::parse_ctl(with_value({'_', 0, 'v', 0})));
  EXPECT_EQ(*without.attribute("OS"), "_v");
  expect_refused(with_value({'_', 0, 'v'}), Errc::malformed);
  expect_refused(with_value({'_', 0, 0x00, 0xD8}), Errc::malformed);   // half a surrogate pair
}

// Whatever a length says, it is held against what is there: nothing is allocated for it, and nothing crashes.
TEST_F(CatalogCase, WrongLengthsAnywhere) {
  const Bytes good = unsigned_catalog(ctl(2));
  std::size_t refused = 0;
  for (std::size_t at = 0; at < good.size(); ++at)
    for (const std::uint8_t wrong : Bytes{0x00, 0x7F, 0x80, 0x84, 0xFF}) {
      if (good[at] == wrong) continue;
      Bytes changed = good;
      changed[at] = wrong;
      const auto catalog = Catalog::parse(changed);
      if (!catalog) ++refused;
      if (!catalog) continue;   // what is taken is taken as it stands
      const base::ByteView list = catalog->ctl();
      EXPECT_NE(std::search(changed.begin(), changed.end(), list.begin(), list.end()), changed.end()) << at;
    }
  EXPECT_GT(refused, good.size());
}

}  // namespace
}  // namespace formats
