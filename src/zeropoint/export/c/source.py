"""model.c: the operators, the constants of each step, the arena, and one function."""

from collections.abc import Iterator, Mapping, Sequence

from zeropoint.export.c.memory import Place
from zeropoint.export.c.operators import definitions
from zeropoint.export.c.output_scale import output_scales
from zeropoint.export.c.routine import Port, Routine
from zeropoint.export.c.signature import signature
from zeropoint.export.c.step import Array, Call, Field, Step
from zeropoint.export.c.text import filled, identifier, inside_comment, integer


def source(routine: Routine, prefix: str, header: str) -> str:
    """The text of the file, which includes the header of that name."""
    return "\n".join([f'#include "{header}"\n', *preamble([routine]), *body(routine, prefix)])


def preamble(routines: Sequence[Routine]) -> Iterator[str]:
    """The definitions that routines of one rounding and one type of weights share."""
    first = routines[0]
    calls = [call for routine in routines for step in routine.steps for call in step.calls]
    copies = any(routine.memory.copies for routine in routines)
    if copies or any(call.function == "copy_rows" for call in calls):
        yield "#include <string.h>\n"
    yield from definitions(
        [name for call in calls for name in (call.function, call.struct)],
        first.rounding,
        first.weight_type,
    )


def body(routine: Routine, prefix: str) -> Iterator[str]:
    """What belongs to one routine alone; every name begins with the prefix."""
    names = {
        step.writes: f"{prefix}_{number}_{identifier(step.layer)}"
        for number, step in enumerate(routine.steps, start=1)
    }
    for step in routine.steps:
        yield _constants(step, names[step.writes], routine)
    for scale in output_scales(routine, prefix):
        yield f"const int32_t {scale.name}[{len(scale.mantissas)}] = {{"
        yield f"{filled(map(integer, scale.mantissas), '    ')}\n}};\n"
    if routine.memory.arena:
        yield f"static uint8_t {prefix}_arena[{prefix.upper()}_ARENA_SIZE];\n"
    yield f"{signature(routine, prefix)}\n{{"
    for port in routine.inputs:
        if not _is_read(port, routine):
            yield f"    (void){port.name}; /* no output depends on it */"
    for step in routine.steps:
        yield from _calls(step, names[step.writes], routine, prefix)
    for index, value in routine.memory.copies:
        port = routine.outputs[index]
        place = _address(routine.memory.places[value], routine, prefix)
        yield f"    memcpy({port.name}, {place}, {port.bytes});"
    yield "}\n"


# --- constants -----------------------------------------------------------------------------------


def _constants(step: Step, name: str, routine: Routine) -> str:
    """A step's arrays and structs."""
    lines = [f"/* {inside_comment(step.layer)}: {step.operator} */"]
    for number, call in enumerate(step.calls):
        own = _own_name(step, name, number)
        arrays = [field for field in call.fields.values() if isinstance(field, Array)]
        lines += [_array(array, own, routine) for array in arrays]
        members = [f".{key} = {_initializer(field, own)}" for key, field in call.fields.items()]
        lines.append(f"static const struct {call.struct} {own} = {{")
        lines.append(f"{filled(members, '    ')}\n}};")
    return "\n".join([*lines, ""])


def _own_name(step: Step, name: str, number: int) -> str:
    return name if len(step.calls) == 1 else f"{name}_{number + 1}"


def _array(array: Array, own: str, routine: Routine) -> str:
    elements = filled((_initializer(element, own) for element in array.elements), "    ")
    type = routine.weight_type if array.type == "weight_t" else array.type
    return f"static const {type} {own}_{array.name}[{len(array.elements)}] = {{\n{elements}\n}};"


def _initializer(field: Field, own: str) -> str:
    if isinstance(field, Array):
        return f"{own}_{field.name}"
    if isinstance(field, tuple):
        return f"{{{', '.join(_initializer(part, own) for part in field)}}}"
    return integer(field)


# --- the function --------------------------------------------------------------------------------


def _is_read(port: Port, routine: Routine) -> bool:
    places = routine.memory.places
    read = {places[value] for step in routine.steps for value in step.reads}
    read |= {places[value] for _, value in routine.memory.copies}
    return places[port.value] in read


def _calls(step: Step, name: str, routine: Routine, prefix: str) -> Iterator[str]:
    places = routine.memory.places
    yield f"    /* {inside_comment(step.layer)} */"
    for number, call in enumerate(step.calls):
        arguments = [
            f"&{_own_name(step, name, number)}",
            *(_address(places[value], routine, prefix) for value in call.reads),
            _written(call, places, routine, prefix),
        ]
        opening = f"    {call.function}("
        yield opening + filled(arguments, " " * len(opening)).lstrip() + ");"


def _written(call: Call, places: Mapping[str, Place], routine: Routine, prefix: str) -> str:
    place = places[call.writes]
    if place.base == "arena":
        return _address(Place("arena", place.offset + call.offset), routine, prefix)
    address = _address(place, routine, prefix)
    return f"{address} + {call.offset}" if call.offset else address


def _address(place: Place, routine: Routine, prefix: str) -> str:
    if place.base == "arena":
        return f"{prefix}_arena + {place.offset}"
    ports = routine.inputs if place.base == "input" else routine.outputs
    return ports[place.offset].name
