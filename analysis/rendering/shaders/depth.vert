#version 330
in vec3 in_place;
in vec3 in_kind;
//include place
void main() { gl_Position = lamp_view * vec4(turned(in_place, in_kind.z), 1.0); }
