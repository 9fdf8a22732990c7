#include "io/list.h"

#include <gtest/gtest.h>
#include <memory>
#include <vector>

namespace ottla::io {
namespace {

struct Member : ListNode {
  explicit Member(int number) : name(number) {}
  int name;
};

std::vector<int> names(List<Member>& list) {
  std::vector<int> all;
  list.for_each([&](Member& member) { all.push_back(member.name); });
  return all;
}

TEST(List, KeepsOrder) {
  List<Member> list;
  Member a(1), b(2), c(3);
  list.push_back(a);
  list.push_back(b);
  list.push_back(c);
  EXPECT_EQ(names(list), (std::vector{1, 2, 3}));
  b.unlink();
  EXPECT_EQ(names(list), (std::vector{1, 3}));
  list.push_back(b);
  EXPECT_EQ(list.pop_front().name, 1);
  EXPECT_EQ(list.front().name, 3);
  EXPECT_EQ(list.back().name, 2);
}

TEST(List, MembersLeaveByTheirDestruction) {
  List<Member> list;
  auto a = std::make_unique<Member>(1);
  Member b(2);
  list.push_back(*a);
  list.push_back(b);
  a.reset();
  EXPECT_EQ(names(list), std::vector{2});
}

TEST(List, MembersOutliveTheList) {
  Member a(1);
  {
    List<Member> list;
    list.push_back(a);
  }
  EXPECT_FALSE(a.is_linked());
  a.unlink();
  List<Member> other;
  other.push_back(a);
  EXPECT_EQ(names(other), std::vector{1});
}

TEST(List, AVisitMayUnlinkItsMember) {
  List<Member> list;
  Member a(1), b(2), c(3);
  for (Member* member : {&a, &b, &c}) list.push_back(*member);
  list.for_each([](Member& member) {
    if (member.name != 2) member.unlink();
  });
  EXPECT_EQ(names(list), std::vector{2});
}

TEST(ListDeathTest, AMemberOfOneListOnly) {
  EXPECT_DEATH(
      {
        List<Member> list;
        Member a(1);
        list.push_back(a);
        list.push_back(a);
      },
      "is_linked");
}

}  // namespace
}  // namespace ottla::io
