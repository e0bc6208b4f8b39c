// Revocation lists that openssl made, and what openssl says of the same ones.
#include "crypto/revocation_list.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/base/limits.hpp"
#include "tests/support/process.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;
using crypto::RevocationList;

class OpensslLists : public testing::TestWithParam<const char*> {
 protected:
  OpensslLists() {
    write_text(folder_ / "ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=" + (folder_ / "index.txt").string() + "\ncrlnumber=" + (folder_ / "crlnumber").string() +
                                       "\ndefault_md=sha256\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n[indirect]\n"
                                       "issuingDistributionPoint=critical,@point\n[point]\nonlyuser=TRUE\n");
    write_text(folder_ / "index.txt", "R\t351231235959Z\t261101000000Z,keyCompromise\t80A1\tunknown\t/CN=One\n"
                                      "R\t351231235959Z\t261102000000Z\t02\tunknown\t/CN=Two\n");
    write_text(folder_ / "crlnumber", "00FE\n");
    authority("root", {});
  }
  void authority(const std::string& name, const Command& extra) {
    Command command{"openssl", "req", "-x509", "-newkey", GetParam(), "-nodes", "-sha256", "-days", "3650", "-subj", "/CN=List Root", "-keyout", folder_ / (name + ".key"), "-out",
                    folder_ / (name + ".pem")};
    if (std::string_view(GetParam()) == "ec") command.insert(command.begin() + 5, {"-pkeyopt", "ec_paramgen_curve:P-256"});
    command.insert(command.end(), extra.begin(), extra.end());
    run_well(command);
  }
  crypto::Certificate certificate(const std::string& name) const { return crypto::certificates_from_pem(read_text(folder_ / (name + ".pem")))->front(); }
  base::Bytes list(const Command& extra = {}, const std::string& by = "root") {
    Command command{"openssl", "ca", "-config", folder_ / "ca.cnf", "-gencrl", "-keyfile", folder_ / (by + ".key"), "-cert", folder_ / (by + ".pem"), "-crldays", "30",
                    "-out", folder_ / "list.pem"};
    command.insert(command.end(), extra.begin(), extra.end());
    run_well(command);
    return read_file(folder_ / "list.pem");
  }
  TempDir folder_;
};

TEST_P(OpensslLists, SayWhatOpensslPutsIntoThem) {
  const auto read = RevocationList::read(list());
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->size(), 2U);
  EXPECT_EQ(read->number(), "fe");
  const auto serial = [](std::initializer_list<std::uint8_t> octets) { return base::Bytes(octets); };
  EXPECT_EQ(read->revoked_at(serial({0x00, 0x80, 0xA1})), at("2026-11-01T00:00:00Z"));   // as a certificate's serial() is
  EXPECT_EQ(read->revoked_at(serial({0x02})), at("2026-11-02T00:00:00Z"));
  EXPECT_FALSE(read->revoked_at(serial({0x03})));
  ASSERT_TRUE(read->next_update());
  EXPECT_EQ(*read->next_update() - read->this_update(), std::chrono::hours(24 * 30));
  const auto issued = read->expect_issued_by(certificate("root"));
  EXPECT_TRUE(issued) << issued.error().text();
}

TEST_P(OpensslLists, GoForwardByNumberAndTime) {
  const auto first = RevocationList::read(list());
  const auto second = RevocationList::read(list());
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(second->expect_newer_than(first->number(), first->this_update()));
  EXPECT_FALSE(first->expect_newer_than(second->number(), second->this_update()));
  EXPECT_FALSE(second->expect_newer_than(second->number(), second->this_update()));
  EXPECT_FALSE(second->expect_newer_than(first->number(), second->this_update() + std::chrono::hours(1)));   // a higher number, an earlier time
  write_text(folder_ / "crlnumber", "0100\n");
  EXPECT_TRUE(RevocationList::read(list())->expect_newer_than("ff", first->this_update()));
}

TEST_P(OpensslLists, AreRefusedFromAnybodyElse) {
  const base::Bytes good = list();
  const auto read = RevocationList::read(good);
  authority("impostor", {});   // the same name
  EXPECT_EQ(read->expect_issued_by(certificate("impostor")).error().code(), base::Errc::mismatch);
  authority("no-lists", {"-addext", "keyUsage=critical,keyCertSign"});
  const auto may_not = RevocationList::read(list({}, "no-lists"));
  EXPECT_EQ(may_not->expect_issued_by(certificate("no-lists")).error().code(), base::Errc::refused);
  const Vendor vendor;
  EXPECT_EQ(read->expect_issued_by(vendor.root()).error().code(), base::Errc::mismatch);
}

TEST_P(OpensslLists, WithAnyByteChangedAreNotTheAuthoritys) {
  const auto read = RevocationList::read(list());
  const base::Bytes der = base::to_bytes(read->der());
  const crypto::Certificate root = certificate("root");
  for (std::size_t i = 0; i < der.size(); ++i) {
    base::Bytes changed = der;
    changed[i] ^= 0x01;
    const auto parsed = RevocationList::parse(changed);
    EXPECT_FALSE(parsed && parsed->expect_issued_by(root)) << "byte " << i;
  }
  for (std::size_t length = 0; length < der.size(); ++length) EXPECT_FALSE(RevocationList::parse(base::ByteView(der).first(length)));
}

TEST_P(OpensslLists, ThatSayOnlyAPartAreRefused) {
  const auto partial = RevocationList::read(list({"-crlexts", "indirect"}));
  ASSERT_FALSE(partial);
  EXPECT_EQ(partial.error().code(), base::Errc::unsupported);
  EXPECT_NE(partial.error().text().find("critical extension 2.5.29.28"), std::string::npos) << partial.error().text();
  const auto sha1 = RevocationList::read(list({"-md", "sha1"}));
  EXPECT_EQ(sha1.error().code(), base::Errc::unsupported) << sha1.error().text();
  EXPECT_EQ(RevocationList::parse(base::Bytes(base::limits::kRevocationListBytes + 1, 0x30)).error().code(), base::Errc::too_large);
}

INSTANTIATE_TEST_SUITE_P(Of, OpensslLists, testing::Values("rsa:2048", "ec"),
                         [](const auto& key) { return std::string(std::string_view(key.param) == "ec" ? "P256" : "Rsa"); });

}  // namespace
}  // namespace tests
