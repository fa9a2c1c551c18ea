#version 330
in vec3 in_place;
in vec3 in_normal;
in vec2 in_uv;
in vec3 in_rest;
in vec3 in_kind;  // part, light that reaches it, how far it stays when the head turns
out vec3 place;
out vec3 normal;
out vec2 uv;
out vec3 rest;
out float reached;
out vec4 from_lamp;
flat out int part;
//include place
void main() {
    place = turned(in_place, in_kind.z);
    normal = turned_normal(in_normal, in_kind.z);
    uv = in_uv;
    rest = in_rest;
    part = int(in_kind.x + 0.5);
    reached = in_kind.y;
    from_lamp = lamp_view * vec4(place, 1.0);
    gl_Position = camera * vec4(place, 1.0);
}
