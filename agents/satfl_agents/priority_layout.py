"""Where the numbers of an action by priority lie: what its form and its networks agree on."""


def parts_of_priority(satellites: int, gateways: int, rule_numbers: int) -> list[int]:
    """Lengths of the parts of a `PriorityAction`, in order.

    They are the priorities of pairs, each satellite's share of its charge, and changes of the numbers of a rule.
    """
    return [satellites * gateways, satellites, rule_numbers]
